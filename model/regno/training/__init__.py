"""Training: simulated or labelled rows, split by time; a trained model with its manifest.

May import: all of the scorer; catboost, `model.registry`, tqdm, scikit-learn. Never imported by
what serves.
"""
