"""The picture process: decodes pictures and scores them, in batches, for the web processes.

The master of the web processes keeps it running, at a lower priority than what scores plates. The
web processes hand pictures over by a socket (client), so they need none of the libraries of
pictures. worker: the socket; batches: pictures that wait at the same time are scored in one call;
live: the version that serves; messages: what goes over the socket; history: what was answered.
May import: `model`, `service.config`, `runtime`, `telemetry`, `rollout`. Never: flask, gunicorn.
"""
