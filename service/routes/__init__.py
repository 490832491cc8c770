"""One file for each group of addresses. A route translates; it decides nothing itself.

May import: flask, `service.http`, `scoring`, `rollout`, `telemetry`, public names of `model`.
Never: the entry, gunicorn, catboost, numpy, pandas.
"""
