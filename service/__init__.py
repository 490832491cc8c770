"""The HTTP service: settings, keys, routes, errors, metrics, logs, the gunicorn worker.

May import: flask, gunicorn, and the public names of `model`.
Never: catboost, numpy, pandas; the environment outside `settings.py`.
sentry_sdk and opentelemetry are for `sentry.py` and `spans.py` alone, imported when set up;
uvloop and httptools are for `server/`.
`wsgi.py` is the only module with a side effect: it builds settings → scorers → app.
Importing anything else starts nothing.
"""

from typing import Final

VERSION: Final = "0.1.0"
