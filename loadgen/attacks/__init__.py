"""Clients that try to block a worker, and what other clients notice.

`python -m loadgen.attacks` starts the service with one worker, runs one attack after the other from
a separate process, and measures the latency of probes and scores meanwhile.
May import: `loadgen.common`, psutil. Never: another tool of the load generator.
"""
