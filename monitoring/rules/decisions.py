"""Alerts on the sink of decisions and on the stores that it fills."""

from monitoring.rules.promql import Alerts, Group, Rule, group, number
from monitoring.slo import Slo


def groups(slo: Slo) -> list[Group]:
    """The group of these alerts."""
    alerts = Alerts(slo.runbook)
    made = (_down, _lags, _damaged)
    return [group("scoring-decisions", [make(slo, alerts) for make in made])]


def _down(slo: Slo, alerts: Alerts) -> Rule:
    missing = slo.process.scrapes_missing_for
    return alerts.make(
        "DecisionSinkDown",
        'up{job="decisions"} == 0',
        severity="ticket",
        sustained=missing,
        summary="The sink at {{ $labels.instance }} does not answer scrapes",
        description=(
            "Prometheus has had no metrics from the sink of decisions at {{ $labels.instance }} "
            f"for {missing}. If it does not run, decisions wait in the spool."
        ),
    )


def _lags(slo: Slo, alerts: Alerts) -> Rule:
    limit, sustained = number(slo.stores.lag_seconds), slo.stores.lag_for
    return alerts.make(
        "DecisionStoreLags",
        f"max by (instance, store) (scoring_decision_store_lag_seconds) > {limit}",
        severity="ticket",
        sustained=sustained,
        summary="The store {{ $labels.store }} lacks decisions",
        description=(
            f"For {sustained}, what {{{{ $labels.store }}}} lacks of the log at "
            f"{{{{ $labels.instance }}}} has waited longer than {limit} s; now "
            "{{ $value | humanizeDuration }}. Decisions that were forgotten may still be there."
        ),
    )


def _damaged(_slo: Slo, alerts: Alerts) -> Rule:
    """Both counts begin at 0 with the sink, so a first one shows."""
    kinds = ("damaged_bytes", "unreadable_entries")
    added = " + ".join(f"increase(scoring_decision_sink_{kind}_total[1h])" for kind in kinds)
    return alerts.make(
        "DecisionsDamaged",
        f"sum by (instance) ({added}) > 0",
        severity="ticket",
        summary="The sink at {{ $labels.instance }} has found damage in the spool",
        description=(
            "In the last hour the sink at {{ $labels.instance }} could not read some bytes or "
            "entries of the spool. The others are in the log, and the damage is an entry of it."
        ),
    )
