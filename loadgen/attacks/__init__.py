"""Clients that try to hold a worker up, and what others feel of them.

`python -m loadgen.attacks` starts the service with one worker, runs one attack after the other from
a process of its own, and measures meanwhile how soon probes are answered and scores come back.
"""
