"""Explanations: contributions of features, computed in a separate process, with phrases."""
