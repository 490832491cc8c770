"""The life of the server's processes: start, addresses, forks, restarts, scoreboard, shutdown.

May import: gunicorn, `service.config`, `service.telemetry`. Never: flask, `service.scoring`.
"""
