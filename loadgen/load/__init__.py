"""Load with a verdict: arrivals by a schedule fixed in advance, judged by the SLO's numbers.

`python -m loadgen.load --shape ramp500` drives a service and ends with 0 only if it held.
Locust has the users, the processes and the web page; what it would get wrong is done here:
when a request is due, what its latency counts from, percentiles, and whether the generator
itself was too slow for its measurements to mean anything.
"""
