"""The life of the server's processes: start, addresses, forks, restarts, scoreboard, shutdown.

runtime: what all processes share; startup: the master's checks; hooks: gunicorn's, in their order;
master and restarts: workers are started and replaced; run_folder, scoreboard: shared state;
listening, ulimits, cpu_quota: what the machine allows; shutdown: the begin of a stop.
May import: gunicorn, `service.config`, `telemetry`, keys. Never: flask, `scoring`, `routes`; the
entry and the rollout only within hooks.
"""
