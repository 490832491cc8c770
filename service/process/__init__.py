"""The life of the server's processes: start, addresses, forks, restarts, shutdown.

startup: the master's checks; server_hooks, hooks: gunicorn's hooks, of every server and of those
that score; master and restarts: workers are started and replaced; listening, ulimits: what the
machine allows; shutdown: the start of a stop.
May import: gunicorn, `service.config`, `runtime`, `telemetry`, `rollout`, keys. Never: flask,
`scoring`, `routes`; the entry only within hooks.
"""
