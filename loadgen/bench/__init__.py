"""The benchmark: the service, its baselines and its limits, measured in turn in one run.

`python -m loadgen.bench` starts each target on its own port, checks that all of them return the
same scores, loads them with wrk in rounds, and reports rates, latencies, processor time, memory
and the ratios of each round.
May import: `loadgen.common`, msgspec, matplotlib, and `client`, to call as callers do. Never:
another tool of the load generator.
"""
