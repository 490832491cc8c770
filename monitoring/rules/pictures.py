"""Alerts on pictures and the processes that score them. Drift: `OtherModelDrift`."""

from typing import Final

from monitoring.rules.promql import Alerts, Group, Rule, group, number, percent
from monitoring.slo import Slo

_CONFIGURED: Final = "max by (instance) (scoring_picture_workers_configured)"
_UP: Final = f"(sum by (instance) (scoring_picture_worker_up) or 0 * {_CONFIGURED})"
_REQUESTS: Final = "sum by (model) (increase(scoring_picture_requests_total{}[15m]))"


def groups(slo: Slo) -> list[Group]:
    """The group of these alerts."""
    alerts = Alerts(slo.runbook)
    made = (_down, _missing, _restarting, _failing, _busy, _slow, _refused)
    return [group("scoring-pictures", [make(slo, alerts) for make in made])]


def _down(slo: Slo, alerts: Alerts) -> Rule:
    sustained = slo.pictures.down_for
    return alerts.make(
        "PicturesDown",
        f"{_UP} == 0 and {_CONFIGURED} > 0",
        severity="page",
        sustained=sustained,
        summary="{{ $labels.instance }} scores no pictures: no picture process runs",
        description=(
            f"For {sustained}, no picture process of {{{{ $labels.instance }}}} has run. Requests "
            "with pictures are answered with 503; jobs and plates are not affected."
        ),
    )


def _missing(slo: Slo, alerts: Alerts) -> Rule:
    sustained = slo.pictures.missing_for
    return alerts.make(
        "PictureProcessesMissing",
        f"0 < {_UP} < {_CONFIGURED}",
        severity="ticket",
        sustained=sustained,
        summary="Picture processes of {{ $labels.instance }} are missing: {{ $value }} up",
        description=(
            f"For {sustained}, {{{{ $labels.instance }}}} has had fewer picture processes than "
            "configured; now {{ $value }}."
        ),
    )


def _restarting(slo: Slo, alerts: Alerts) -> Rule:
    limit = slo.pictures.restarts
    starts = "sum by (instance) (increase(scoring_picture_worker_starts_total[15m]))"
    return alerts.make(
        "PictureProcessesRestart",
        f"{starts} > {limit} * {_CONFIGURED}",
        severity="ticket",
        summary="Picture processes of {{ $labels.instance }} die again and again",
        description=(
            "{{ $labels.instance }} started {{ $value | humanize }} picture processes in 15m, more "
            f"than {limit} for each that it should have. Each death loses the pictures in work."
        ),
    )


def _failing(slo: Slo, alerts: Alerts) -> Rule:
    limit = slo.pictures.failed_ratio
    return alerts.make(
        "PicturesFail",
        _share(slo, '{outcome=~"failed|unavailable"}', limit),
        severity="page",
        sustained=slo.pictures.sustained,
        summary="{{ $value | humanizePercentage }} of the pictures for {{ $labels.model }} fail",
        description=(
            "Over 15m, {{ $value | humanizePercentage }} of the pictures for the model "
            "{{ $labels.model }} failed, or no picture process answered; "
            f"{percent(limit)} is the limit."
        ),
    )


def _busy(slo: Slo, alerts: Alerts) -> Rule:
    limit = slo.pictures.busy_ratio
    return alerts.make(
        "PicturesShed",
        _share(slo, '{outcome="busy"}', limit),
        severity="ticket",
        sustained=slo.pictures.sustained,
        summary="{{ $value | humanizePercentage }} of the pictures for {{ $labels.model }} find "
        "no room",
        description=(
            "Over 15m, {{ $value | humanizePercentage }} of the pictures for the model "
            "{{ $labels.model }} were answered with 429 or 503, since too many waited; "
            f"{percent(limit)} is the limit."
        ),
    )


def _slow(slo: Slo, alerts: Alerts) -> Rule:
    limit, sustained = number(slo.pictures.p99_seconds), slo.pictures.sustained
    rate = "sum by (model, le) (rate(scoring_picture_request_duration_seconds_bucket[15m]))"
    return alerts.make(
        "PicturesSlow",
        f"histogram_quantile(0.99, {rate}) > {limit}\n"
        f"and {_REQUESTS.format('')} >= {slo.pictures.min_pictures}",
        severity="ticket",
        sustained=sustained,
        summary="Pictures for {{ $labels.model }} take too long",
        description=(
            f"For {sustained}, 1 % of the pictures for the model {{{{ $labels.model }}}} have "
            f"taken longer than {limit} s; now {{{{ $value | humanizeDuration }}}} (mean of 15m)."
        ),
    )


def _refused(slo: Slo, alerts: Alerts) -> Rule:
    limit = slo.pictures.refused_ratio
    return alerts.make(
        "PicturesRefused",
        _share(slo, '{outcome="refused"}', limit),
        severity="ticket",
        sustained=slo.pictures.refused_for,
        summary="{{ $value | humanizePercentage }} of the pictures for {{ $labels.model }} are "
        "refused",
        description=(
            "Over 15m, {{ $value | humanizePercentage }} of the pictures for the model "
            "{{ $labels.model }} could not be read, or show nothing that it recognises; "
            f"{percent(limit)} is the limit."
        ),
    )


def _share(slo: Slo, outcome: str, limit: float) -> str:
    """The share of an outcome, where it exceeds the limit and pictures are not few."""
    whole = f"({_REQUESTS.format('')} >= {slo.pictures.min_pictures})"
    chosen = "sum by (model) (increase(scoring_picture_requests_total" + outcome + "[15m]))"
    return f"{chosen}\n/ {whole} > {number(limit)}"
