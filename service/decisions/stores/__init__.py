"""Stores for analysis: rows of decisions without anything personal, in files and databases.

The log is the truth, and a store is a copy of some of it, which may lag or be away.

May import: `model`, `service.config`, `service.telemetry`, the rest of `service.decisions`.
Never: flask, gunicorn, the server, jobs.
"""
