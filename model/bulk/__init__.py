"""Scoring whole files: what is the same for every scorer.

May import: model's catalog and errors, the stdlib, msgspec, tqdm. Never a scorer: only worker
processes load one, by the catalog, and the process that reads and writes stays small.
blocks → workers → (a model's `score_block`, by default `rows`) → output, in the input's order.
"""
