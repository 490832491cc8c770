"""Evaluation: measures, reports, the model card, and the comparison of two models.

May import: dataset and what scores; numpy, SciPy, and scikit-learn, matplotlib and jinja2 within
the modules that need them. Never: training. What serves imports `gate` and `parity` alone.
"""
