"""Labelled rows for training: read from a table of any form, split by time.

May import: columns, doubts, model_file of the scorer; `model.tables`, numpy, pandas. Never: the
scorer itself, training, evaluation.
"""
