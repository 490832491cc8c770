"""The dashboard *Jobs*: jobs by state, their waits, webhooks, and requests over AMQP."""

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
from monitoring.grafana.panels.style import coloured, counted, if_empty, limited, stacked
from monitoring.slo import Jobs, Slo

_NONE_IS_GOOD: Final[Steps] = ((None, GOOD), (1, BAD))
_ALL_IS_GOOD: Final[Steps] = ((None, BAD), (1, GOOD))
_NO_AMQP: Final = "No requests come over AMQP"
_NO_WORKERS: Final = "No job worker is scraped (SCORING_WORKER_METRICS_BIND)"
_NO_CACHE: Final = "Nothing is cached (SCORING_CACHE), or the processes that look are not scraped"
_NO_WEBHOOKS: Final = "No webhooks are sent"


def build(slo: Slo) -> Dashboard:
    """The dashboard, with the limits of waits."""
    figures: list[Panel] = _figures(slo.jobs)
    attempts = [
        if_empty(panel, _NO_WORKERS).span(12) for panel in (_attempts(), _attempt_seconds())
    ]
    webhooks = [
        if_empty(panel, _NO_WEBHOOKS).span(8)
        for panel in (_webhooks(), _delays(), _overdue(slo.jobs))
    ]
    cache = [if_empty(panel, _NO_CACHE).span(12) for panel in (_hits(), _lookups())]
    amqp = [
        if_empty(panel, _NO_AMQP).span(12)
        for panel in (_requests(), _durations(), _together(), _unanswered())
    ]
    return dashboard(
        "jobs",
        "Scoring: jobs",
        "Jobs by state, how long they wait, webhooks, the cache, requests over AMQP.",
        [
            Section("Now", [panel.height(5) for panel in figures]),
            Section("Jobs", [_states().span(12), _waits(slo.jobs).span(12)]),
            Section("Attempts", attempts),
            Section("Webhooks", webhooks),
            Section("Cache of results", cache),
            Section("Requests over AMQP", amqp),
        ],
    )


def _figures(limits: Jobs) -> list[Panel]:
    jobs = 'sum(max by (kind) (scoring_jobs{{state="{}"}}))'
    oldest = "max(scoring_jobs_oldest_waiting_seconds)"
    steps = ((None, GOOD), (limits.waiting_seconds, BAD))
    return [
        number("Waiting", "short", "Jobs that wait for a worker.", now(jobs.format("queued"))),
        number("Running", "short", "Jobs that are being done.", now(jobs.format("running")), PLAIN),
        number(
            "Oldest that waits",
            "s",
            "How long the oldest job waits that is due.",
            now(oldest),
            steps,
        ),
        number(
            "Dead",
            "short",
            "Jobs that were given up and are kept: requeue or drop them.",
            now(jobs.format("dead")),
            _NONE_IS_GOOD,
        ),
        number(
            "Store",
            "short",
            "1 while records and queue can be reached by a web process.",
            now("min(max by (part) (scoring_jobs_reachable))"),
            _ALL_IS_GOOD,
        ),
        number(
            "AMQP consumers",
            "short",
            "Processes that take requests over AMQP.",
            now("sum(scoring_amqp_consumers)"),
        ),
    ]


def _states() -> Graph:
    description = (
        "Jobs whose records are kept, by state. Ended ones leave after SCORING_JOB_KEEP_HOURS."
    )
    query = over_time("sum by (state) (max by (kind, state) (scoring_jobs)) > 0", "{{state}}")
    colours = {"succeeded": GOOD, "failed": DOUBTFUL, "dead": BAD, "running": NEUTRAL}
    return coloured(stacked(graph("Jobs by state", "suffix:jobs", description, query)), colours)


def _waits(limits: Jobs) -> Graph:
    description = "How long the oldest job of each kind waits that is due."
    query = over_time("max by (kind) (scoring_jobs_oldest_waiting_seconds)", "{{kind}}")
    return limited(
        graph("Waits of the oldest jobs", "s", description, query), limits.waiting_seconds
    )


def _attempts() -> Graph:
    description = "Attempts at jobs, by the job's state after it; queued: it is tried again."
    query = over_time(f"sum by (state) ({rate('scoring_job_attempts_total')}) > 0", "{{state}}")
    colours = {"succeeded": GOOD, "queued": DOUBTFUL, "failed": DOUBTFUL, "dead": BAD}
    return coloured(stacked(graph("Attempts", "ops", description, query)), colours)


def _attempt_seconds() -> Graph:
    description = "Duration of attempts at jobs, half and 99 % of them."
    queries = [
        over_time(quantile(share, "scoring_job_attempt_seconds"), name)
        for share, name in ((0.5, "half"), (0.99, "99 %"))
    ]
    return graph("Time of attempts", "s", description, *queries)


def _webhooks() -> Graph:
    description = (
        "Attempts to deliver a webhook: sent, failed (it is tried again) or dead (it is not)."
    )
    query = over_time(f"{happened('scoring_webhooks_total', 'result')} > 0", "{{result}}")
    panel = counted(graph("Webhooks", "suffix:attempts", description, query))
    return coloured(panel, {"sent": GOOD, "failed": DOUBTFUL, "dead": BAD})


def _delays() -> Graph:
    description = "From the end of a job to the delivery of its webhook, half and 99 % of them."
    queries = [
        over_time(quantile(share, "scoring_webhook_delay_seconds"), name)
        for share, name in ((0.5, "half"), (0.99, "99 %"))
    ]
    return graph("Delay of webhooks", "s", description, *queries)


def _overdue(limits: Jobs) -> Graph:
    description = (
        "How long the oldest webhook that is due waits for an attempt. It grows while an endpoint "
        "can't be reached: its other messages wait then."
    )
    query = over_time("max(scoring_webhooks_oldest_due_seconds)", "oldest")
    return limited(graph("Overdue webhooks", "s", description, query), limits.webhook_seconds)


def _hits() -> Graph:
    description = (
        "The share of lookups that spared the work, of rows to explain (explanations) and of jobs."
    )
    hits, all_of_them = (
        f"sum by (cache) ({rate('scoring_cache_requests_total', selector)})"
        for selector in (f'result="hit",{CHOSEN}', CHOSEN)
    )
    query = over_time(f"{hits} / ({all_of_them} > 0)", "{{cache}}")
    return graph("Hits of the cache", "percentunit", description, query)


def _lookups() -> Graph:
    description = (
        "Lookups by their result. error: Redis did not answer in time, or had another value than "
        "was put there; the work was done as after a miss."
    )
    query = over_time(f"sum by (result) ({rate('scoring_cache_requests_total')})", "{{result}}")
    panel = stacked(graph("Lookups in the cache", "ops", description, query))
    return coloured(panel, {"hit": GOOD, "miss": NEUTRAL, "error": BAD})


def _requests() -> Graph:
    description = "Answered requests by status, as that of HTTP."
    query = over_time(f"sum by (status) ({rate('scoring_amqp_requests_total')}) > 0", "{{status}}")
    return stacked(graph("Requests over AMQP", "reqps", description, query))


def _durations() -> Graph:
    description = (
        "99 % of requests were answered within: from their delivery, and waiting before it, where "
        "callers state when they began."
    )
    queries = [
        over_time(quantile(0.99, f"scoring_amqp_request_{part}_seconds"), name)
        for part, name in (("duration", "answered"), ("wait", "delivered"))
    ]
    return graph("Time over AMQP", "s", description, *queries)


def _together() -> Graph:
    description = "Requests that wait at the same time share one call of the model."
    total, count = (
        f"sum({rate(f'scoring_batch_rows_{part}')} and on (instance) scoring_amqp_consumers)"
        for part in ("sum", "count")
    )
    query = over_time(f"{total} / {count}", "rows in a call, mean")
    return graph("Rows predicted together over AMQP", "suffix:rows", description, query)


def _unanswered() -> Graph:
    description = (
        "Requests without a reply: expired, without a queue for the reply, or whose requester was "
        "gone."
    )
    counter = f"sum by (reason) ({rate('scoring_amqp_requests_unanswered_total', CHOSEN)}) > 0"
    return graph("Unanswered", "reqps", description, over_time(counter, "{{reason}}"))
