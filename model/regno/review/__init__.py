"""Review: doubtful readings, guards against them, and the decision that a score leads to."""
