"""Model files: loading, manifests, the positive class, checks of outputs.

May import: catboost (else only training, `pick` and `frames` do), features, drift's bins, numpy.
Never: the scorer itself.
"""
