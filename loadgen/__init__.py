"""Load tests, fault injection, attacks and the benchmark.

May import: the standard library, locust with gevent and ConfigArgParse, msgspec, prometheus_client,
psutil, matplotlib, uvloop.
Never: `service` or `model`. It uses HTTP, as any client does, and starts the servers that it
measures as programs. Those in `bench/baselines/` and `bench/limits/` import what they serve with.
"""
