"""Rows: outcomes, reasons of refusal, rows per call of the model."""

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import BAD, DOUBTFUL, GOOD, Panel, graph, over_time
from monitoring.grafana.panels.selectors import mean, rate
from monitoring.grafana.panels.style import coloured, listed_right, stacked


def panels() -> list[Panel]:
    """Panels for the rows of single requests and arrays."""
    return [_outcome().span(6), _refused().span(12), _together().span(6)]


def _outcome() -> Graph:
    description = "Rows of single requests and of arrays. A failed row is an error of the service."
    query = over_time(f"sum by (result) ({rate('scoring_rows_total')})", "{{result}}")
    panel = stacked(graph("Rows by outcome", "suffix:rows/s", description, query))
    return coloured(panel, {"scored": GOOD, "refused": DOUBTFUL, "failed": BAD})


def _refused() -> Graph:
    description = "By reason and field. A single field points to a new release of one caller."
    by_reason = f"sum by (reason, field) ({rate('scoring_rows_refused_total')}) > 0"
    query = over_time(by_reason, "{{reason}} {{field}}")
    return listed_right(graph("Why rows are refused", "suffix:rows/s", description, query), 280)


def _together() -> Graph:
    description = (
        "Single rows that wait at the same time share one call of the model. The number grows with "
        "load; at 1 no row waits."
    )
    query = over_time(mean("scoring_batch_rows"), "rows in a call, mean")
    return graph("Rows predicted together", "suffix:rows", description, query)
