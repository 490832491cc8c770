"""Rows: what became of them, why they were refused, how many are predicted together."""

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import BAD, DOUBTFUL, GOOD, Panel, graph, over_time
from monitoring.grafana.panels.selectors import mean, rate
from monitoring.grafana.panels.style import coloured, listed_right, stacked


def panels() -> list[Panel]:
    """Of single requests and arrays together."""
    return [_outcome().span(6), _refused().span(12), _together().span(6)]


def _outcome() -> Graph:
    words = "Single requests and the rows of arrays together. A failed row is the service's fault."
    asked = over_time(f"sum by (result) ({rate('scoring_rows_total')})", "{{result}}")
    panel = stacked(graph("Rows by outcome", "suffix:rows/s", words, asked))
    return coloured(panel, {"scored": GOOD, "refused": DOUBTFUL, "failed": BAD})


def _refused() -> Graph:
    words = "By reason and field. One field alone points to one caller's release."
    by_reason = f"sum by (reason, field) ({rate('scoring_rows_refused_total')}) > 0"
    asked = over_time(by_reason, "{{reason}} {{field}}")
    return listed_right(graph("Why rows are refused", "suffix:rows/s", words, asked), 280)


def _together() -> Graph:
    words = (
        "Single rows that wait at the same moment share one call of the model. It grows with "
        "load; at 1 nobody waits."
    )
    asked = over_time(mean("scoring_batch_rows"), "rows in a call, mean")
    return graph("Rows predicted together", "suffix:rows", words, asked)
