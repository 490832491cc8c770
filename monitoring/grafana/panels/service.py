"""The dashboard *Service*: objectives, requests, rows, saturation."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels import objectives, requests, rows, saturation
from monitoring.grafana.panels.layout import Section, dashboard
from monitoring.slo import Slo


def build(slo: Slo) -> Dashboard:
    """The dashboard, with the objectives as limits."""
    resources = (
        *saturation.panels(slo.saturation),
        saturation.memory(),
        saturation.error_reports(),
    )
    return dashboard(
        "service",
        "Scoring: service",
        "Error budgets, alerts; requests, errors and latency of POST /reg; rows; saturation.",
        [
            Section("Objectives", objectives.panels(slo)),
            Section("Requests", requests.panels(slo.objective)),
            Section("Rows", rows.panels()),
            Section("Saturation and error reports", [panel.span(8) for panel in resources]),
        ],
    )
