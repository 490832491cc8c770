"""Alerts on requests: none, rejected, refused, failed.

After a single burst a share over a window stays high for the length of the window. Where a burst is
no reason for an alert, the alert must be sustained for longer than its window.
"""

from typing import Final

from monitoring.rules.promql import SCORING, Alerts, Group, Rule, group, number, percent
from monitoring.slo import Slo

_REQUESTS: Final = "scoring_http_requests_total"
_SCORED: Final = "scoring_scored_requests_total"
_ROWS: Final = "scoring_rows_total"


def groups(slo: Slo) -> list[Group]:
    """The group of these alerts."""
    made = (_no_traffic, _overload_shedding, _refused_inputs, _rows_failed)
    return [group("scoring-traffic", [make(slo, Alerts(slo.runbook)) for make in made])]


def _no_traffic(slo: Slo, alerts: Alerts) -> Rule:
    """Counts scored requests only, so that many wrong keys are not traffic.

    Usual is the traffic at the same time a week ago: nights and Sundays are quiet, and an outage
    does not become usual within days. Without a week of history it is yesterday's traffic, without
    a day the traffic just before.
    """
    window, usual = slo.traffic.silent_for, slo.traffic.expected_requests
    now, before, yesterday, last_week = (
        f"sum(increase({_SCORED}[{window}]{offset}))"
        for offset in ("", f" offset {window}", " offset 1d", " offset 1w")
    )
    return alerts.make(
        "NoTraffic",
        f"{now} == 0\n"
        f"and ({last_week} >= {usual}\n"
        f"  or ({yesterday} >= {usual} unless {last_week})\n"
        f"  or ({before} >= {usual} unless {yesterday}))",
        severity="page",
        summary=f"No request was scored for {window}",
        description=(
            f"The service is up and scored nothing in {window}, though at least {usual} requests "
            f"are usual: as many were scored at this time a week ago (or yesterday, or just "
            f"before, as far as there is history)."
        ),
    )


def _overload_shedding(slo: Slo, alerts: Alerts) -> Rule:
    shed = f'{_REQUESTS}{{{SCORING},status=~"429|503"}}[5m]'
    return alerts.make(
        "OverloadShedding",
        f"sum(rate({shed})) / (sum(rate({_REQUESTS}{{{SCORING}}}[5m])) > 0)"
        f" > {number(slo.traffic.shed_ratio)}\n"
        f"and sum(increase({shed})) >= {slo.traffic.min_bad_requests}",
        severity="page",
        sustained="10m",
        summary="{{ $value | humanizePercentage }} of the requests are rejected",
        description=(
            "Over 5m, {{ $value | humanizePercentage }} of the scoring requests were answered "
            f"with 429 or 503; {percent(slo.traffic.shed_ratio)} is the limit."
        ),
    )


def _refused_inputs(slo: Slo, alerts: Alerts) -> Rule:
    most = "topk(1, sum by (reason, field) (increase(scoring_rows_refused_total[15m])))"
    return alerts.make(
        "RefusedInputs",
        _share_of_rows("refused", "15m", f">= {slo.traffic.min_rows}")
        + f" > {number(slo.traffic.refused_ratio)}",
        severity="ticket",
        sustained="30m",
        summary="{{ $value | humanizePercentage }} of the rows are refused",
        description=(
            "Over 15m, {{ $value | humanizePercentage }} of the rows were refused; "
            f"{percent(slo.traffic.refused_ratio)} is the limit. Most often:"
            f"{{{{ range query `{most}` }}}}"
            " {{ .Labels.reason }} {{ .Labels.field }} ({{ .Value | humanize }} rows)"
            "{{ end }}."
        ),
    )


def _rows_failed(slo: Slo, alerts: Alerts) -> Rule:
    """A failed row in an array causes no 5xx, so no objective counts it."""
    failed = f'sum(increase({_ROWS}{{result="failed"}}[30m]))'
    return alerts.make(
        "RowsFailed",
        _share_of_rows("failed", "30m", "> 0") + f" > {number(slo.traffic.failed_ratio)}\n"
        f"and {failed} >= {slo.traffic.min_bad_requests}",
        severity="ticket",
        summary="{{ $value | humanizePercentage }} of the rows fail",
        description=(
            "Over 30m, scoring failed for {{ $value | humanizePercentage }} of the rows, in single "
            f"requests and inside arrays; {percent(slo.traffic.failed_ratio)} is the limit."
        ),
    )


def _share_of_rows(result: str, window: str, enough: str) -> str:
    return (
        f'sum(increase({_ROWS}{{result="{result}"}}[{window}]))\n'
        f"/ (sum(increase({_ROWS}[{window}])) {enough})"
    )
