"""Grafana as data: the data source, and dashboards built by code.

`python -m monitoring.grafana` writes `dashboards/*.json` from the code in `panels/`; `--check` only
compares them. Grafana reads them, and `provisioning/`, at its start.
May import: `monitoring.slo`, grafana-foundation-sdk. Never: `rules`, `alertmanager`.
"""
