"""Explanations: contributions of features, computed in a separate process, with phrases.

May import: model_file and features of the scorer. Never: the scorer itself, numpy.
"""
