"""One file for each group of addresses. A route translates; it decides nothing itself.

May import: flask, `service.http`, `scoring`, `rollout`, `telemetry`, `overload`, `config`,
`runtime`, public names of `model`; the metrics page also prometheus_client. Never: the entry, the
server (but for types), gunicorn, catboost, numpy, pandas.
"""
