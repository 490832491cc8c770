"""`python -m service.doctor`: checks the machine and the settings for known faults.

A check is a function that yields findings and may raise: what it can't read is reported as
unknown. Checks change nothing, and no finding holds a key, a token or a DSN.
settings: the settings and the keys; files: rights and folders; network: addresses, Sentry, traces;
edge: the proxy in front; machine: CPUs, memory, limits, packages; model, registry: what is served;
jobs: folder, broker and records of jobs.
May import: `service.config`, keys, CPU quota and run folder of the service, `service.jobs` where it
is needed, `model`, gunicorn's defaults. Never: the WSGI entry, routes, the server.
"""
