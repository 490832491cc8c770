"""What runs full before the service fails: on *Service*, and during a test on *Load test*."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import BAD, DOUBTFUL, NEUTRAL, Panel, graph, over_time
from monitoring.grafana.panels.selectors import CHOSEN, happened, rate
from monitoring.grafana.panels.style import coloured, counted, limited
from monitoring.slo import Saturation

_NAME: Final = "{{instance}}"
_CONFIGURED: Final = f"sum by (instance) (scoring_workers_configured{{{CHOSEN}}})"


def panels(limits: Saturation) -> list[Panel]:
    """Processor, requests in flight, what waits outside, what is turned away.

    The lines are where alerts begin.
    """
    every = [_processor(limits), _in_flight(limits), _waiting(), _turned_away()]
    return [panel.span(6) for panel in every]


def _processor(limits: Saturation) -> Graph:
    words = (
        "Processor time of the workers, as a share of one core for each. At 100 % requests "
        "wait: add workers or machines."
    )
    used = f"sum by (instance) ({rate('scoring_process_cpu_seconds_total')})"
    panel = graph("Processor", "percentunit", words, over_time(f"{used} / {_CONFIGURED}", _NAME))
    return limited(panel, limits.cpu_ratio).axis_soft_max(1)


def _in_flight(limits: Saturation) -> Graph:
    words = (
        "Requests begun and not yet answered. It is rate × latency: when it grows at an even "
        "rate, the service has become slower."
    )
    begun = f"sum by (instance) (scoring_http_requests_in_flight{{{CHOSEN}}})"
    asked = over_time(f"{begun} / {_CONFIGURED}", _NAME)
    panel = graph("Requests in flight, by worker", "suffix:requests", words, asked)
    return limited(panel, limits.in_flight_per_worker)


def _waiting() -> Graph:
    words = (
        "Connections that no worker has accepted yet. Above 0 for long: the workers don't come "
        "to it."
    )
    asked = over_time(f"sum by (instance) (scoring_accept_queue_length{{{CHOSEN}}})", _NAME)
    return graph("Connections waiting", "suffix:connections", words, asked).axis_soft_max(10)


def _turned_away() -> Graph:
    words = (
        "Scoring requests that got 429: their room was full, they would have had to wait too "
        "long, or they were arrays while single rows waited, or explanations while anybody did."
    )
    asked = over_time(happened("scoring_requests_shed_total", "reason"), "{{reason}}")
    panel = counted(graph("Turned away", "suffix:requests", words, asked))
    return coloured(
        panel, {"full": BAD, "deadline": DOUBTFUL, "array": "yellow", "explain": NEUTRAL}
    )


def memory() -> Graph:
    """What all workers of an instance hold."""
    description = (
        "Resident memory of an instance's workers, summed: pages that they share count in each. "
        "Level after the first minutes; by worker it is on Workers."
    )
    held = f"sum by (instance) (scoring_process_resident_memory_bytes{{{CHOSEN}}})"
    return graph("Memory", "bytes", description, over_time(held, _NAME))


def error_reports() -> Graph:
    """What goes to Sentry, and what does not get there."""
    words = (
        "Reports of unexpected errors to Sentry: sent, or dropped because it was full, slow or "
        "away. Each is a 500 or a row that failed."
    )
    asked = over_time(happened("scoring_error_reports_total", "result"), "{{result}}")
    panel = counted(graph("Error reports", "suffix:reports", words, asked))
    return coloured(panel, {"sent": DOUBTFUL, "dropped": BAD})
