"""The web processes: jobs over HTTP and pages for browsers, in a gunicorn with threads.

Work that waits for a store, a queue or a slow upload sits here and never in a scoring process.
`__main__` starts gunicorn, `wsgi` is the entry, `app` wires the routes, `routes/` has one file for
each group of addresses; `templates/` and `static/` are the pages. May import: flask, gunicorn's
public names, `service.jobs`, `service.decisions`, and what every kind of server shares:
`service.config`, `http`, `process`, `runtime`, `telemetry`, and of `service.routes` the pages that
are not about scoring.
Never: `service.server`, `service.scoring`, `service.rollout`, the entry of the scoring processes;
Celery and Redis themselves.
"""
