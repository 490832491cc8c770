"""The baselines of the benchmark: other ways to serve the same model."""
