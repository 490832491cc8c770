"""The edge: nginx in front of the service, as a template, its settings and what renders it.

`python -m service.edge` makes nginx's configuration from `EDGE_*` variables; nothing else runs.
May import: jinja2, msgspec, and of `service` how variables become settings and files are written.
Never: flask, gunicorn, `model` except `redaction` and the catalog's addresses; the environment
outside its `settings.py`.
The serving process never imports it: it must not matter whether there is an edge.
"""
