"""Scoring whole files: what is the same for every scorer.

May import: model's catalog, errors and tables, the stdlib, msgspec, numpy, pyarrow. Never a scorer:
only workers load one, by the catalog.
parcels of a table → workers → (a model's `score_cells`, by default `rows`) → output, in the input's
order.
"""
