"""The dashboard *Pictures*: what becomes of them, how long that takes, and who scores them."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel as Graph
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels.kinds import (
    BAD,
    DOUBTFUL,
    GOOD,
    NEUTRAL,
    PLAIN,
    Panel,
    Steps,
    graph,
    now,
    number,
    over_time,
)
from monitoring.grafana.panels.layout import Section, dashboard
from monitoring.grafana.panels.selectors import CHOSEN, happened, quantile, rate
from monitoring.grafana.panels.style import coloured, counted, if_empty, limited, stacked, stepped
from monitoring.slo import Pictures, Slo

_NONE_IS_GOOD: Final[Steps] = ((None, GOOD), (1, BAD))
_NONE_REFUSED: Final = "No picture was refused"
_OUTCOMES: Final = {
    "scored": GOOD,
    "refused": NEUTRAL,
    "busy": DOUBTFUL,
    "failed": BAD,
    "unavailable": BAD,
}
_MODELS: Final = 'model=~"digits|imagenet|cat|dog"'
_SHARES: Final = ((0.5, "half"), (0.99, "99 %"))


def build(slo: Slo) -> Dashboard:
    """The dashboard, with the limits of alerts."""
    limits = slo.pictures
    asked = [_outcomes(), _durations(limits), if_empty(_refusals(), _NONE_REFUSED)]
    return dashboard(
        "pictures",
        "Scoring: pictures",
        "What becomes of pictures, how long it takes, and the processes that score them.",
        [
            Section("Now", [panel.height(5) for panel in _figures(limits)]),
            Section("Pictures", asked),
            Section("Where the time goes", [_waits(), _decoding(), _calls()]),
            Section("Models", [_together(), _versions(), _confidence()]),
            Section("Processes", [_there(), _starts(), _in_flight(), _processor(), _memory()]),
        ],
    )


def _figures(limits: Pictures) -> list[Panel]:
    configured, there = (
        f"sum({name}{{{CHOSEN}}})"
        for name in ("scoring_picture_workers_configured", "scoring_picture_worker_up")
    )
    requests = rate("scoring_picture_requests_total")
    failed = rate("scoring_picture_requests_total", f'outcome=~"busy|failed|unavailable",{CHOSEN}')
    steps = ((None, GOOD), (limits.failed_ratio, BAD))
    slow = quantile(0.99, "scoring_picture_request_duration_seconds")
    return [
        number("Pictures", "suffix:/s", "Queries about pictures.", now(f"sum({requests})"), PLAIN),
        number(
            "Not scored",
            "percentunit",
            "The share of good pictures that were not scored: busy, failed, no process.",
            now(f"sum({failed}) / sum({requests})"),
            steps,
        ),
        number(
            "99 % within",
            "s",
            "From sending a picture to the picture process to its answer.",
            now(slow),
            ((None, GOOD), (limits.p99_seconds, BAD)),
        ),
        number(
            "Processes missing",
            "short",
            "Configured minus running picture processes. One that is replaced is missing for a "
            "second or two.",
            now(f"{configured} - ({there} or vector(0))"),
            _NONE_IS_GOOD,
        ),
    ]


def _outcomes() -> Graph:
    description = (
        "Pictures by result. refused: it is not a picture, or too large; busy: no "
        "process to decode it was free; unavailable: no picture process answered."
    )
    counter = f"sum by (outcome) ({rate('scoring_picture_requests_total')})"
    panel = graph(
        "Pictures by outcome", "suffix:/s", description, over_time(counter, "{{outcome}}")
    )
    return coloured(stacked(panel), _OUTCOMES)


def _durations(limits: Pictures) -> Graph:
    panel = _quantiles(
        "Time to the answer",
        "request_duration_seconds",
        "From sending a picture to the picture process to its answer, half and 99 % of them.",
    )
    return limited(panel, limits.p99_seconds)


def _refusals() -> Graph:
    description = (
        "Pictures that can't be scored, by model and reason. unreadable: no picture, or damaged; "
        "range: too many pixels, too long or too much memory to decode; missing: nothing in it."
    )
    chosen = rate("scoring_catalog_rows_refused_total", f"{_MODELS},{CHOSEN}")
    query = over_time(f"sum by (model, reason) ({chosen}) > 0", "{{model}} {{reason}}")
    return stacked(graph("Refused pictures", "suffix:/s", description, query))


def _waits() -> Graph:
    return _quantiles(
        "Wait",
        "wait_seconds",
        "From sending a picture to the picture process to the start of its work.",
    )


def _decoding() -> Graph:
    return _quantiles(
        "Decoding",
        "decode_seconds",
        "From a picture file to what the model takes, or to its refusal.",
    )


def _calls() -> Graph:
    return _quantiles(
        "Calls of models",
        "batch_duration_seconds",
        "One call of a model, which scores all the pictures that wait for it.",
    )


def _quantiles(title: str, part: str, description: str) -> Graph:
    queries = [
        over_time(quantile(share, f"scoring_picture_{part}"), name) for share, name in _SHARES
    ]
    return graph(title, "s", description, *queries)


def _together() -> Graph:
    description = "Pictures that wait at the same time share one call of their model."
    total, count = (
        f"sum by (model) ({rate(f'scoring_picture_batch_rows_{part}')})"
        for part in ("sum", "count")
    )
    query = over_time(f"{total} / {count}", "{{model}}")
    return graph("Pictures in a call, mean", "suffix:pictures", description, query)


def _versions() -> Graph:
    description = "Picture processes by the version that they serve of each model."
    served = f'sum by (model, version) (scoring_catalog_live{{worker=~"pictures-.*",{CHOSEN}}}) > 0'
    query = over_time(served, "{{model}} {{version}}")
    return stepped(stacked(graph("Processes by version", "short", description, query)))


def _confidence() -> Graph:
    description = "The mean score of each model: how probably the answers are right, or yes."
    total, count = (
        f"sum by (model) ({rate(f'scoring_catalog_positive_{part}', f'{_MODELS},{CHOSEN}')})"
        for part in ("sum", "count")
    )
    query = over_time(f"{total} / {count}", "{{model}}")
    return graph("Mean score of pictures", "percentunit", description, query).max(1)


def _there() -> Graph:
    description = "Running and configured picture processes."
    queries = [
        over_time(f"sum({name}{{{CHOSEN}}})", legend)
        for name, legend in (
            ("scoring_picture_workers_configured", "configured"),
            ("scoring_picture_worker_up", "running"),
        )
    ]
    panel = stepped(graph("Picture processes", "short", description, *queries))
    return coloured(panel, {"configured": DOUBTFUL, "running": GOOD})


def _starts() -> Graph:
    description = "Starts of picture processes. One without a start of the server is a crash."
    query = over_time(happened("scoring_picture_worker_starts_total", "instance"), "{{instance}}")
    return counted(graph("Starts of picture processes", "short", description, query))


def _in_flight() -> Graph:
    description = (
        "Pictures that were sent to the picture process and have no answer yet. The threads of the "
        "web processes limit their number."
    )
    query = over_time(f"sum(scoring_picture_requests_in_flight{{{CHOSEN}}})", "in flight")
    return graph("Pictures in flight", "short", description, query)


def _processor() -> Graph:
    description = (
        "Share of one core, without the processes that decode. Models are evaluated by one thread."
    )
    used = f"sum by (instance, worker) ({rate('scoring_picture_process_cpu_seconds_total')})"
    query = over_time(used, "{{instance}} {{worker}}")
    return graph("Processor of picture processes", "percentunit", description, query)


def _memory() -> Graph:
    description = "Resident memory, without the processes that decode. A lasting slope is a leak."
    held = f"scoring_picture_process_resident_memory_bytes{{{CHOSEN}}}"
    query = over_time(f"sum by (instance, worker) ({held})", "{{instance}} {{worker}}")
    return graph("Memory of picture processes", "bytes", description, query)
