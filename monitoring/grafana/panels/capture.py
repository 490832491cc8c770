"""Rows that are captured for training: written and lost, and the bytes of their files."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import BAD, GOOD, Panel, graph, over_time
from monitoring.grafana.panels.selectors import rate
from monitoring.grafana.panels.style import coloured, if_empty, stacked

_NONE: Final = "Nothing is captured"


def panels() -> list[Panel]:
    """Panels that are empty where nothing is captured."""
    made = (_rows(), _bytes())
    return [if_empty(panel, _NONE).span(12) for panel in made]


def _rows() -> Graph:
    description = (
        "Rows that were picked for the capture: written to a file, or dropped because too many "
        "waited, they were too large, or a file could not be written."
    )
    query = over_time(f"sum by (result) ({rate('scoring_capture_rows_total')}) > 0", "{{result}}")
    panel = stacked(graph("Captured rows", "suffix:rows/s", description, query))
    return coloured(panel, {"written": GOOD, "dropped": BAD})


def _bytes() -> Graph:
    description = (
        "Bytes written to files of the capture. The oldest files are removed above "
        "SCORING_CAPTURE_MB."
    )
    written = f"sum by (instance) ({rate('scoring_capture_written_bytes_total')}) > 0"
    query = over_time(written, "{{instance}}")
    return graph("Captured bytes", "Bps", description, query)
