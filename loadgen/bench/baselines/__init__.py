"""The baselines of the benchmark: other ways to serve the same model.

May import: what they serve with, and the benchmark's rows. Never: what measures them.
"""
