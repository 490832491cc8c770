"""Review: guards against doubtful readings, and the decision that a score leads to.

May import: the scorer, doubts, plates, requests. Never: training, evaluation.
"""
