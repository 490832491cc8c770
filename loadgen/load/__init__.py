"""Load tests with a verdict: an open loop with a fixed schedule, evaluated by the SLO's limits.

`python -m loadgen.load --shape ramp500` loads a service and ends with 0 only if it met the limits.
Locust provides users, processes and the web page. This package adds the schedule, latency from
the due time, percentiles, and the check that the generator itself was fast enough.
May import: `loadgen.common`, locust with gevent, prometheus_client, matplotlib. Never: another
tool of the load generator.
"""
