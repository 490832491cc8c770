"""The decision log: what was decided, kept, proved, reviewed, forgotten and learnt from.

May import: `model`, `service.config`. Never: flask, gunicorn, the server, jobs.
"""
