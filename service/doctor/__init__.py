"""`python -m service.doctor`: whether this machine, so configured, has any known trap.

May import: what the service may, and its settings, keys, CPUs and folders. Never: the WSGI entry.
A check is a function that yields findings and may raise: what can't be read can't be told.
It leaves a server that runs alone, and no finding holds a key, a token or a DSN.
"""
