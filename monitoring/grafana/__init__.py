"""Grafana as data: the data source, and dashboards built by code.

`python -m monitoring.grafana` writes `dashboards/*.json` from `build/`; `--check` tells
whether they are current. Grafana reads them, and `provisioning/`, when it starts.
"""
