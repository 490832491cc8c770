"""Saturation: resources that are exhausted first; on *Service*, *Workers* and *Load test*."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel as Graph

from monitoring.grafana.panels.kinds import BAD, DOUBTFUL, NEUTRAL, Panel, graph, over_time
from monitoring.grafana.panels.selectors import CHOSEN, happened, rate
from monitoring.grafana.panels.style import coloured, counted, limited
from monitoring.slo import Saturation

_NAME: Final = "{{instance}}"
_CONFIGURED: Final = f"sum by (instance) (scoring_workers_configured{{{CHOSEN}}})"


def panels(limits: Saturation) -> list[Panel]:
    """Processor, requests in flight, waiting connections, rejected requests.

    The lines are the limits of alerts.
    """
    every = [_processor(limits), _in_flight(limits), _waiting(), _rejected()]
    return [panel.span(6) for panel in every]


def _processor(limits: Saturation) -> Graph:
    description = (
        "Processor time of the workers as a share of one core each. At 100 % requests wait: add "
        "workers or machines."
    )
    used = f"sum by (instance) ({rate('scoring_process_cpu_seconds_total')})"
    panel = graph(
        "Processor", "percentunit", description, over_time(f"{used} / {_CONFIGURED}", _NAME)
    )
    return limited(panel, limits.cpu_ratio).axis_soft_max(1)


def _in_flight(limits: Saturation) -> Graph:
    description = (
        "Requests that have begun and are not yet answered: rate × latency. If it grows at a "
        "constant rate, the service has become slower."
    )
    begun = f"sum by (instance) (scoring_http_requests_in_flight{{{CHOSEN}}})"
    query = over_time(f"{begun} / {_CONFIGURED}", _NAME)
    panel = graph("Requests in flight, by worker", "suffix:requests", description, query)
    return limited(panel, limits.in_flight_per_worker)


def _waiting() -> Graph:
    description = (
        "Connections that no worker has accepted yet. Above 0 for long: the workers are busy or "
        "stuck."
    )
    query = over_time(f"sum by (instance) (scoring_accept_queue_length{{{CHOSEN}}})", _NAME)
    return graph("Connections waiting", "suffix:connections", description, query).axis_soft_max(10)


def _rejected() -> Graph:
    description = (
        "Scoring requests that were rejected with 429: the queue was full, the estimated wait too "
        "long, or they were arrays while single rows waited, or explanations while others waited."
    )
    query = over_time(happened("scoring_requests_shed_total", "reason"), "{{reason}}")
    panel = counted(graph("Rejected with 429", "suffix:requests", description, query))
    return coloured(
        panel, {"full": BAD, "deadline": DOUBTFUL, "array": "yellow", "explain": NEUTRAL}
    )


def memory() -> Graph:
    """The memory of all workers of an instance."""
    description = (
        "Sum of the resident memory of an instance's workers; shared pages count in each. Constant "
        "after the first minutes. Memory by worker is on Workers."
    )
    held = f"sum by (instance) (scoring_process_resident_memory_bytes{{{CHOSEN}}})"
    return graph("Memory", "bytes", description, over_time(held, _NAME))


def error_reports() -> Graph:
    """Error reports that were sent to Sentry, and those that were dropped."""
    description = (
        "Reports of unexpected errors to Sentry: sent, or dropped because Sentry was slow or down "
        "or the queue was full. Each is a 500 or a failed row."
    )
    query = over_time(happened("scoring_error_reports_total", "result"), "{{result}}")
    panel = counted(graph("Error reports", "suffix:reports", description, query))
    return coloured(panel, {"sent": DOUBTFUL, "dropped": BAD})
