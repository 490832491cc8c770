"""Load: the load generator and the benchmark.

May import: the standard library, locust, its gevent and ConfigArgParse, msgspec,
prometheus_client, psutil, matplotlib.
Never: `service` or `model`. What is here speaks HTTP, as any client does, and starts the
servers it measures as programs. Those in `bench/baselines/` and `bench/limits/` import what they
serve with.
"""
