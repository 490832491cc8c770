"""Review: guards against doubtful readings, and the decision that a score leads to."""
