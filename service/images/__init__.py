"""The picture processes: they decode pictures and score them, in batches, for the web processes.

The master of the web processes keeps them running, at a lower priority than what scores plates. The
web processes hand pictures over by a socket (client), so they need none of the libraries of
pictures. worker: one process; batches: pictures that wait at the same time are scored in one call;
live: the version that serves; messages: what goes over the socket; history: what was answered, in
SQLite or Redis.
May import: `model`, `service.config`, `redis`, `runtime`, `telemetry`, `rollout`. Never: flask,
gunicorn. Only `redis_history` imports Redis.
"""
