"""Alerts on the model: registry, swaps, shadow, and data that differs from training."""

from typing import Final

from monitoring.rules.promql import Alerts, Group, Rule, group, number, percent
from monitoring.slo import Slo

# Longer than the window of an hour: a single unusual array does not fire, nor the hour after a
# swap, which still has scores of the previous version. A moderate drift must last longer.
_LEVELS: Final = (("major", "alert", "90m"), ("moderate", "warn", "6h"))

# The reasons of rows that a guard refused.
_GUARDED: Final = "unseen|lookalike|range|mismatch|implausible|agree"
_INDEX: Final = '{{ printf "%.2f" $value }}'


def groups(slo: Slo) -> list[Group]:
    """The group of these alerts."""
    alerts = Alerts(slo.runbook)
    made = (
        *(_loads, _refused, _registry, _unseen, _doubtful),
        *(_input_drift, _score_shift, _other_models, _shadow),
    )
    return [group("scoring-model", [rule for make in made for rule in make(slo, alerts)])]


def _loads(slo: Slo, alerts: Alerts) -> list[Rule]:
    mixed = slo.process.versions_mixed_for
    return [
        alerts.make(
            "ModelLoadFailed",
            'sum by (instance) (increase(scoring_model_loads_total{result="refused"}[1h])) > 0',
            severity="ticket",
            summary="{{ $labels.instance }} refused a new model",
            description=(
                "{{ $labels.instance }} refused a model file in the last hour "
                "({{ $value | humanize }} times, each worker counts) and serves the one it had."
            ),
        ),
        alerts.make(
            "ModelVersionsMixed",
            "count(count by (version) (scoring_model_live == 1)) > 1",
            severity="ticket",
            sustained=mixed,
            summary="{{ $value }} model versions are live",
            description=(
                f"For {mixed}, requests have been scored by more than one version:"
                "{{ range query `count by (version) (scoring_model_live == 1)`"
                " | sortByLabel `version` }}"
                " {{ .Labels.version }} in {{ .Value }} workers;{{ end }}"
                " the same reading may be decided either way."
            ),
        ),
    ]


def _refused(slo: Slo, alerts: Alerts) -> list[Rule]:
    """The state of a server, whereas `ModelLoadFailed` is the event."""
    sustained = slo.process.live_refused_for
    return [
        alerts.make(
            "LiveModelRefused",
            "max by (instance) (scoring_model_live_refused) == 1",
            severity="ticket",
            sustained=sustained,
            summary="{{ $labels.instance }} does not serve the live version",
            description=(
                f"For {sustained}, workers of {{{{ $labels.instance }}}} have refused the version "
                "that the registry names live. They serve the one before, which a server that "
                "starts now begins with, too."
            ),
        )
    ]


def _registry(slo: Slo, alerts: Alerts) -> list[Rule]:
    """The minimum over 2m: a worker that retries reports success for a moment."""
    sustained = slo.process.registry_unreachable_for
    return [
        alerts.make(
            "ModelRegistryUnreachable",
            "min by (instance) (min_over_time(scoring_model_registry_up[2m])) == 0",
            severity="ticket",
            sustained=sustained,
            summary="{{ $labels.instance }} can't follow the models' registry",
            description=(
                f"For {sustained}, workers of {{{{ $labels.instance }}}} have not been able to "
                "read the models' registry, or it names no live version that they can fetch. "
                "They serve what they have; no promotion and no rollback reaches them."
            ),
        )
    ]


def _share_with(warnings: str, labels: str, slo: Slo) -> str:
    """The share of rows with warnings among those that were scored or that a guard refused.

    There is no share if there are too few rows.
    """
    # Without the fields that request validation bounds: a guard refuses no row because of them.
    refused = f'reason=~"{_GUARDED}",field!~"recognition_accuracy|afts_regno_ai_score|direction"'
    checked = (
        'sum(increase(scoring_rows_total{result="scored"}[30m]))\n'
        f"  + (sum(increase(scoring_rows_refused_total{{{refused}}}[30m])) or vector(0))"
    )
    return (
        f"sum by ({labels}) (increase(scoring_warnings_total{{{warnings}}}[30m]))\n"
        f"/ on () group_left () (\n  {checked} >= {slo.traffic.min_rows}\n)"
    )


def _unseen(slo: Slo, alerts: Alerts) -> list[Rule]:
    """Without months and weekdays: training data rarely have all of them."""
    calendar = "|".join(slo.drift.calendar_variables)
    share = _share_with(f'kind="unseen-category",field!~"{calendar}"', "field", slo)
    return [
        alerts.make(
            "UnseenCategories",
            f"{share} > {number(slo.drift.unseen_ratio)}",
            severity="ticket",
            sustained="45m",
            summary="{{ $value | humanizePercentage }} of {{ $labels.field }} is unknown",
            description=(
                "Over 30m, {{ $value | humanizePercentage }} of the rows held a value of "
                "{{ $labels.field }} that was not in the training data; "
                f"{percent(slo.drift.unseen_ratio)} is the limit. Their scores mean little."
            ),
        )
    ]


def _doubtful(slo: Slo, alerts: Alerts) -> list[Rule]:
    """Without values that were corrected: they are not doubtful."""
    share = _share_with('kind!~"unseen-category|normalised"', "kind, field", slo)
    return [
        alerts.make(
            "DoubtfulReadings",
            f"{share} > {number(slo.drift.doubtful_ratio)}",
            severity="ticket",
            sustained="45m",
            summary="{{ $value | humanizePercentage }} of the rows: {{ $labels.kind }}",
            description=(
                "Over 30m, {{ $value | humanizePercentage }} of the rows had the warning "
                "{{ $labels.kind }}{{ with $labels.field }} of {{ . }}{{ end }}; "
                f"{percent(slo.drift.doubtful_ratio)} is the limit. Their scores mean little."
            ),
        )
    ]


def _input_drift(slo: Slo, alerts: Alerts) -> list[Rule]:
    weights = "max by (variable) (scoring_drift_importance_ratio)"
    worst = f"topk(3, scoring:drift_psi:1h * on (variable) {weights})"
    return [
        alerts.make(
            "InputDrift",
            f"scoring:drift_psi_weighted:1h > {number(getattr(slo.drift, limit))}",
            severity="ticket",
            sustained=sustained,
            summary=f"Inputs differ from training ({level}): {_INDEX}",
            description=(
                f"For {sustained}, the stability index weighted by importance has been above "
                f"{number(getattr(slo.drift, limit))}, now {_INDEX}. "
                f"Most of it comes from:{{{{ range query `{worst}` }}}}"
                " {{ .Labels.variable }} {{ .Value | printf `%.2f` }}{{ end }}."
            ),
            level=level,
        )
        for level, limit, sustained in _LEVELS
    ]


def _score_shift(slo: Slo, alerts: Alerts) -> list[Rule]:
    return [
        alerts.make(
            "ScoreShift",
            f'scoring:drift_psi:1h{{variable="positive"}} > {number(getattr(slo.drift, limit))}',
            severity="ticket",
            sustained=sustained,
            summary=f"Scores differ from training ({level}): {_INDEX}",
            description=(
                f"For {sustained}, the stability index of the scores has been above "
                f"{number(getattr(slo.drift, limit))}, now {_INDEX}."
            ),
            level=level,
        )
        for level, limit, sustained in _LEVELS
    ]


def _other_models(slo: Slo, alerts: Alerts) -> list[Rule]:
    """One alert on what the other models of the catalog are sent, and what they answer."""
    limit, sustained = number(slo.drift.alert), _LEVELS[0][2]
    return [
        alerts.make(
            "OtherModelDrift",
            f"scoring:catalog_drift_psi:1h > {limit}",
            severity="ticket",
            sustained=sustained,
            summary=(
                "{{ $labels.variable }} of the model {{ $labels.model }} differs from its "
                f"reference: {_INDEX}"
            ),
            description=(
                f"For {sustained}, the stability index of {{{{ $labels.variable }}}} has been "
                f"above {limit}, now {_INDEX}."
            ),
        )
    ]


def _shadow(slo: Slo, alerts: Alerts) -> list[Rule]:
    """The only alert on the shadow: its failures affect no caller."""
    failed = 'scoring_shadow_rows_total{result="failed"}[30m]'
    return [
        alerts.make(
            "ShadowFailing",
            f"sum by (instance) (increase({failed})) >= {slo.traffic.min_bad_requests}",
            severity="ticket",
            summary="The shadow model of {{ $labels.instance }} fails",
            description=(
                "Over 30m, the shadow model of {{ $labels.instance }} failed on "
                "{{ $value | humanize }} rows. Callers have their scores from the live model; "
                "what the panels say of the shadow leaves these rows out."
            ),
        )
    ]
