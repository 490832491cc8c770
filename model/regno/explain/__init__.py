"""Explanations: contributions of features, made in a process of their own, in plain words."""
