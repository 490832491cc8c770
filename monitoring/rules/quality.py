"""Alerts on the quality of decisions, by labels that came later."""

from typing import Final

from monitoring.rules.promql import Alerts, Group, Rule, group, number
from monitoring.slo import Slo

_NEWEST: Final = "max(scoring_quality_newest_label_timestamp_seconds)"


def groups(slo: Slo) -> list[Group]:
    """The group of these alerts."""
    alerts = Alerts(slo.runbook)
    made = (_wrong, _unlabelled, _unmeasured)
    return [group("scoring-quality", [make(slo, alerts) for make in made])]


def _wrong(slo: Slo, alerts: Alerts) -> Rule:
    """By the evidence, since the rate itself exceeds any limit by chance now and then."""
    return alerts.make(
        "DecisionsOftenWrong",
        f"max by (version) (scoring_quality_evidence) >= {number(slo.quality.evidence)}",
        severity="ticket",
        summary="More decisions of {{ $labels.version }} are wrong than promised",
        description=(
            "The audited labels of {{ $labels.version }} are evidence of {{ $value | humanize }} "
            f"that more of its automatic decisions are wrong than promised; "
            f"{number(slo.quality.evidence)} is reached in at most "
            f"{number(100 / slo.quality.evidence)} of 100 cases in which they are not."
        ),
    )


def _unlabelled(slo: Slo, alerts: Alerts) -> Rule:
    """Only where labels came before, and while decisions are made."""
    missing = slo.quality.labels_missing_for
    made = 'sum(increase(scoring_decision_log_entries_total{result="written"}[1d])) > 0'
    return alerts.make(
        "LabelsMissing",
        f"time() - ({_NEWEST} > 0) > {slo.quality.labels_missing_seconds}\nand on () {made}",
        severity="ticket",
        sustained="1h",
        summary="No label has come for {{ $value | humanizeDuration }}",
        description=(
            f"For more than {missing}, no decision has been labelled. Nobody would notice "
            "that decisions are wrong."
        ),
    )


def _unmeasured(slo: Slo, alerts: Alerts) -> Rule:
    stale = slo.quality.unmeasured_seconds
    return alerts.make(
        "QualityNotMeasured",
        f"time() - max by (instance) (scoring_quality_measured_timestamp_seconds) > {stale}",
        severity="ticket",
        sustained="5m",
        summary="{{ $labels.instance }} does not measure the quality of decisions",
        description=(
            "The sink at {{ $labels.instance }} has not measured the quality of decisions for "
            "{{ $value | humanizeDuration }}: the figures shown are old."
        ),
    )
