"""Doubtful readings: what makes them so, and the ranges that a model was trained on.

May import: columns, plates, requests and model_file; numpy. Never: the scorer itself.
"""
