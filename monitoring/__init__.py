"""Monitoring: Prometheus, Alertmanager and Grafana as data, and the code that makes and checks it.

May import: the standard library, msgspec, python-dotenv, PyYAML, grafana-foundation-sdk.
Never: `service`, `model` or `loadgen`, nor they this package. The names of metrics connect them.
It reads only its own files. Limits stand in `slo.toml` and nowhere else. Generated files are
committed, name the command that makes them, and a test checks that they are current.
"""
