"""The benchmark: the service beside its rivals, measured in turn in one run.

`python -m loadgen.bench` starts each target on a port of its own, checks that all of them
give the same scores, loads them with wrk in rounds and reports rates, latencies, processor
time, memory and the ratios of each round. It speaks HTTP only; `service` and `model` are
programs that it starts, never modules that it imports.
"""
