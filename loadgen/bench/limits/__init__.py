"""Limits of the service: the least cost of scoring a request, by different servers.

They use the project's own scorer (`model.regno`), so that a difference is due to the server. None
of them is fit for use: they validate little and limit nothing.
May import: `model.regno`, httptools, uvloop. Never: what measures them.
"""
