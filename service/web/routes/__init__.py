"""One file for each group of addresses of the web processes.

May import: flask, `service.http`, `service.jobs`, `service.telemetry`, `service.web` but its
processes. Never: gunicorn, scorers.
"""
