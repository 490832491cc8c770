"""The HTTP door: settings, keys, routes, errors, metrics, logs, the gunicorn worker.

May import: flask, gunicorn, gevent, and the public names of `model`.
Never: catboost, numpy, pandas; the environment outside `settings.py`.
`wsgi.py` is the only module with a side effect: it builds settings → scorers → app.
Importing anything else starts nothing.
"""
