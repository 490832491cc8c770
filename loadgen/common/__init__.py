"""What every tool of the load generator shares: the target, the load, the machine.

May import: the standard library, msgspec, psutil, uvloop.
Never: another package of `loadgen`. `service` and `model` are programs that are started, never
modules that are imported.
"""
