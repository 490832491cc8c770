"""Many readings at once, column by column: tables of features, CSV files.

May import: requests, features, plates of the scorer; numpy, pandas. Never: what loads a model.
"""
