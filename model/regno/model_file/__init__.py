"""Model files: loading, manifests, the positive class, checks of outputs.

May import: catboost, which only this package and training know; features, drift's bins, numpy.
Never: the scorer itself.
"""
