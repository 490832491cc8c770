"""Disturbances under load: what clients notice when a worker dies, reloads, is held up.

`python -m loadgen.chaos` starts the service, holds a safe rate and disturbs it in turn. Each
stage of the shape `chaos` is named after its disturbance and judged like any other.
"""
