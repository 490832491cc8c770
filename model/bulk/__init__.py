"""Scoring whole files: what is the same for every scorer.

May import: model's errors, the stdlib, tqdm. Never a scorer: only worker processes load one,
by the name of its module, and the process that reads and writes stays small.
blocks → workers → (a scorer's `score_block`) → output, in the order of the input.
"""
