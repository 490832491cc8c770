"""Drift between two files of requests, of any model that makes bins: `python -m model.drift`.

May import: the scorer protocol, the registry's checks, tables; numpy, and jinja2 for the page.
Never: a model's package, which the catalog loads.
"""
