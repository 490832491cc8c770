"""Alerts on the processes: failed scrapes, crashes, saturation, memory, keys."""

from typing import Final

from monitoring.rules.promql import Alerts, Group, Rule, group, number
from monitoring.slo import Slo

_UP: Final = 'up{job="scoring"}'
_VALUE: Final = '{{ printf "%.2f" $value }}'
_CONFIGURED: Final = "max by (instance) (scoring_workers_configured)"


def groups(slo: Slo) -> list[Group]:
    """The group of these alerts."""
    alerts = Alerts(slo.runbook)
    workers = (_target, _restarting, _missing, _saturated, _memory)
    made = (*workers, _background, _log, _capture, _decisions, _keys)
    return [group("scoring-processes", [rule for make in made for rule in make(slo, alerts)])]


def _target(slo: Slo, alerts: Alerts) -> list[Rule]:
    outages = slo.process.outages
    return [
        alerts.make(
            "ScoringTargetDown",
            f"{_UP} == 0 or absent({_UP})",
            severity="page",
            sustained=slo.process.scrapes_missing_for,
            summary='{{ or $labels.instance "The service" }} does not answer scrapes',
            description=(
                'Prometheus has had no metrics from {{ or $labels.instance "any instance" }} for '
                f"{slo.process.scrapes_missing_for}: it is down, unreachable, has no target, or "
                "refuses the bearer token."
            ),
        ),
        alerts.make(
            "ScoringTargetFlapping",
            f"changes({_UP}[15m]) >= {2 * outages}",
            severity="page",
            summary="{{ $labels.instance }} goes down and up repeatedly",
            description=(
                "{{ $labels.instance }} changed between up and down {{ $value }} times in 15m, "
                f"that is {outages} outages or more, each too short for ScoringTargetDown."
            ),
        ),
    ]


def _restarting(slo: Slo, alerts: Alerts) -> list[Rule]:
    limits = slo.process
    starts = "sum by (instance) (increase(scoring_worker_starts_total[{}]))"
    crash_loop = "WorkerCrashLoop"
    return [
        # A rolling restart starts each worker once: it is shorter, and has fewer starts.
        alerts.make(
            crash_loop,
            starts.format("10m") + " > 0",
            severity="page",
            sustained=limits.restarts_go_on_for,
            summary="Workers of {{ $labels.instance }} restart repeatedly",
            description=(
                "{{ $labels.instance }} has been starting workers for "
                f"{limits.restarts_go_on_for}, {{{{ $value | humanize }}}} in the last 10m."
            ),
            pace="steady",
        ),
        alerts.make(
            crash_loop,
            f"{starts.format('5m')} > {limits.restarts_per_worker} * {_CONFIGURED}",
            severity="page",
            summary="Workers of {{ $labels.instance }} die as soon as they start",
            description=(
                "{{ $labels.instance }} started {{ $value | humanize }} workers in 5m, more than "
                f"{limits.restarts_per_worker} for each that it should have."
            ),
            pace="rapid",
        ),
    ]


def _missing(slo: Slo, alerts: Alerts) -> list[Rule]:
    limits = slo.process
    return [
        alerts.make(
            "WorkersMissing",
            f"(sum by (instance) (scoring_worker_up) or 0 * {_CONFIGURED}) < {_CONFIGURED}",
            severity="ticket",
            sustained=limits.workers_missing_for,
            summary="Workers of {{ $labels.instance }} are missing: {{ $value }} up",
            description=(
                "{{ $labels.instance }} has had fewer workers than configured for "
                f"{limits.workers_missing_for}; now {{{{ $value }}}}."
            ),
        ),
    ]


def _background(slo: Slo, alerts: Alerts) -> list[Rule]:
    """Background work: its failures affect no reply, so callers do not notice them."""
    sustained = slo.process.background_fails_for
    failures = "sum by (instance, part) (increase(scoring_background_failures_total[5m]))"
    return [
        alerts.make(
            "BackgroundWorkFailing",
            f"{failures} > 0",
            severity="ticket",
            sustained=sustained,
            summary="Background work of {{ $labels.instance }} fails: {{ $labels.part }}",
            description=(
                f"For {sustained}, {{{{ $labels.part }}}} has failed in workers of "
                "{{ $labels.instance }}, {{ $value | humanize }} times in the last 5m. Scoring "
                "continues; what that part reports is missing or outdated."
            ),
        )
    ]


def _log(slo: Slo, alerts: Alerts) -> list[Rule]:
    """Lines are dropped if the reader of the log is slower than the service."""
    sustained = slo.process.log_lines_dropped_for
    return [
        alerts.make(
            "LogLinesDropped",
            "sum by (instance) (increase(scoring_log_lines_dropped_total[5m])) > 0",
            severity="ticket",
            sustained=sustained,
            summary="The log of {{ $labels.instance }} has gaps",
            description=(
                f"For {sustained}, {{{{ $labels.instance }}}} has dropped log lines, "
                f"{{{{ $value | humanize }}}} in the last 5m: the reader of its output is stopped "
                "or too slow. Scoring continues."
            ),
        )
    ]


def _capture(slo: Slo, alerts: Alerts) -> list[Rule]:
    """A share, so that a single request that takes too much memory raises nothing."""
    sustained = slo.process.capture_lost_for
    picked = "sum by (instance) (increase(scoring_capture_rows_total{}[15m]))"
    lost = picked.format('{result="dropped"}')
    return [
        alerts.make(
            "CaptureLosesRows",
            f"{lost}\n/ {picked.format('')} > {number(slo.process.capture_lost_ratio)}",
            severity="ticket",
            sustained=sustained,
            summary="{{ $labels.instance }} loses captured rows",
            description=(
                f"For {sustained}, {{{{ $labels.instance }}}} has dropped "
                "{{ $value | humanizePercentage }} of the rows that it picked for the capture "
                "(mean of 15m). Scoring continues; training data has gaps."
            ),
        )
    ]


def _decisions(slo: Slo, alerts: Alerts) -> list[Rule]:
    sustained, most = slo.process.spool_for, slo.process.spool_bytes
    dropped = 'increase(scoring_decision_log_entries_total{result="dropped"}[15m])'
    return [
        alerts.make(
            "DecisionsLost",
            f"sum by (instance) ({dropped}) > 0",
            severity="page",
            summary="{{ $labels.instance }} scores rows whose decisions are not kept",
            description=(
                "In the last 15m, {{ $labels.instance }} has not written "
                "{{ $value | humanize }} decisions to the log: its spool is full or can't be "
                "written."
            ),
        ),
        alerts.make(
            "DecisionsNotShipped",
            f"max by (instance) (scoring_decision_log_spool_bytes) > {most}",
            severity="ticket",
            sustained=sustained,
            summary="The spool of decisions on {{ $labels.instance }} grows",
            description=(
                f"For {sustained}, {{{{ $value | humanize1024 }}}}B of decisions on "
                "{{ $labels.instance }} have waited for the sink, which is stopped or too slow. "
                "When the spool is full, decisions are lost or requests rejected."
            ),
        ),
        _not_reviewed(slo, alerts),
    ]


def _not_reviewed(slo: Slo, alerts: Alerts) -> Rule:
    oldest, sustained = slo.process.review_seconds, slo.process.review_for
    return alerts.make(
        "DecisionsNotReviewed",
        f"max by (instance) (scoring_review_oldest_seconds) > {oldest}",
        severity="ticket",
        sustained=sustained,
        summary="Decisions of {{ $labels.instance }} wait for reviewers",
        description=(
            f"For {sustained}, the oldest decision that waits for a reviewer at "
            f"{{{{ $labels.instance }}}} has been older than {oldest // 86_400} days, now "
            "{{ $value | humanizeDuration }}. Its audit draws have no labels either, so error "
            "rates lag behind."
        ),
    )


def _saturated(slo: Slo, alerts: Alerts) -> list[Rule]:
    limits = slo.saturation
    cpu = "sum by (instance) (rate(scoring_process_cpu_seconds_total[5m]))"
    queue = "max by (instance) (avg_over_time(scoring_accept_queue_length[5m]))"
    in_flight = "sum by (instance) (avg_over_time(scoring_http_requests_in_flight[5m]))"
    exprs = {
        "cpu": (f"{cpu}\n/ {_CONFIGURED} > {number(limits.cpu_ratio)}", "cores per worker"),
        "accept_queue": (f"{queue} >= 1", "connections waiting to be accepted"),
        "in_flight": (
            f"{in_flight}\n/ {_CONFIGURED} > {limits.in_flight_per_worker}",
            "requests in flight per worker",
        ),
    }
    return [
        alerts.make(
            "ScoringSaturated",
            expr,
            severity="ticket",
            sustained=limits.sustained,
            summary=f"{{{{ $labels.instance }}}} is saturated: {_VALUE} {unit}",
            description=(
                f"For {limits.sustained}, {{{{ $labels.instance }}}} has had on average "
                f"{_VALUE} {unit} (means of 5m)."
            ),
            resource=resource,
        )
        for resource, (expr, unit) in exprs.items()
    ]


def _memory(slo: Slo, alerts: Alerts) -> list[Rule]:
    """Compared with the maximum of an hour long ago, so that a start or a spike is not growth."""
    resident = "scoring_process_resident_memory_bytes"
    limits = slo.process
    return [
        alerts.make(
            "MemoryGrowth",
            f"min_over_time({resident}[30m])"
            f" > {number(limits.memory_growth)} * max_over_time({resident}[1h] offset 6h)\n"
            f"and min_over_time({resident}[30m]) > {limits.memory_floor_bytes}",
            severity="ticket",
            sustained="15m",
            summary="Memory of worker {{ $labels.worker }} of {{ $labels.instance }} grows",
            description=(
                "Worker {{ $labels.worker }} of {{ $labels.instance }} holds at least "
                "{{ $value | humanize1024 }}B, "
                f"{number(limits.memory_growth)} times the most it held six hours ago."
            ),
        )
    ]


def _keys(slo: Slo, alerts: Alerts) -> list[Rule]:
    """Each read of an invalid file counts; a file that was half written is over in 5m."""
    sustained = slo.process.keys_refused_for
    return [
        alerts.make(
            "KeysFileRefused",
            'sum by (instance) (increase(scoring_keys_reloads_total{result="refused"}[5m])) > 0',
            severity="ticket",
            sustained=sustained,
            summary="{{ $labels.instance }} can't use its keys file",
            description=(
                f"For {sustained}, {{{{ $labels.instance }}}} has found no usable keys in its "
                "file. The former keys stay valid: new ones do not work, and keys that were "
                "withdrawn still do."
            ),
        )
    ]
