"""The HTTP service. Each package in it states what it may import.

May import: flask, gunicorn, and the public names of `model`. Never: catboost, numpy, pandas, a
scorer; the environment, but in `config.settings` and `edge.settings`. sentry_sdk and opentelemetry
are for `telemetry.sentry` and `telemetry.spans` alone, imported when they are set up; uvloop and
httptools are for `server`. The entries alone have a side effect: `wsgi.py` builds settings →
models → app, `web.wsgi` the app of the web processes. Importing anything else starts nothing.
"""

from typing import Final

VERSION: Final = "0.1.0"
