"""Drift: how scored readings compare with those that the model was measured on.

May import: features of the scorer; numpy, pandas. Never: the rest of the scorer.
"""
