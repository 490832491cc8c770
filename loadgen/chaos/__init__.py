"""Fault injection under load: what clients notice when workers die, reload or are slow.

`python -m loadgen.chaos` starts the service, holds a safe rate and injects one fault after the
other. Each stage of the shape `chaos` has the name of its fault and is evaluated like any other.
May import: `loadgen.common`, `loadgen.load`, psutil. Never: `attacks`, `bench`.
"""
