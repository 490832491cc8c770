"""Alertmanager's configuration, made from settings: `python -m monitoring.alertmanager`.

What is grouped, and what silences what, is code and tested. Where notifications go is the
operator's, from the environment or `.env`; secrets stay files where Alertmanager reads files.
May import: msgspec, python-dotenv, PyYAML. Never: the rest of `monitoring`.
"""
