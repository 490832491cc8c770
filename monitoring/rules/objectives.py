"""The objectives: error ratios by window, remaining budgets, burn-rate alerts."""

from collections.abc import Callable
from typing import Final

from monitoring.rules.promql import SCORING, Alerts, Group, Rule, group, number, percent, record
from monitoring.slo import Burn, Slo, seconds

_REQUESTS: Final = "scoring_http_requests_total"
_DURATION: Final = "scoring_http_request_duration_seconds"
# A longer window is too expensive to read at each evaluation.
_LONG: Final = 2 * 3600


def groups(slo: Slo) -> list[Group]:
    """The recording rules of all windows, and the alerts on them."""
    windows = sorted({w for burn in slo.burn for w in (burn.long, burn.short)}, key=seconds)
    long = {burn.long for burn in slo.burn}
    of = {w: [*_ratios(slo, w), *(_bad(slo, w) if w in long else ())] for w in windows}
    quick = [rule for w in windows if seconds(w) <= _LONG for rule in of[w]]
    slow = [rule for w in windows if seconds(w) > _LONG for rule in of[w]]
    return [
        group("scoring-requests", [*_requests(), *quick], "30s"),
        # At most 5 minutes apart, or the newest value would be stale.
        group("scoring-requests-long", [*slow, *_budgets(slo)], "2m"),
        group("scoring-burn", [_alert(slo, name, burn) for name in _SLIS for burn in slo.burn]),
    ]


def _requests() -> list[Rule]:
    expr = f"sum by (route, status) (rate({_REQUESTS}[5m]))"
    return [record("scoring:http_requests:rate5m", expr)]


def _ratios(slo: Slo, window: str) -> list[Rule]:
    return [
        record(f"scoring:{name}_errors:ratio_rate{window}", share(slo, window))
        for name, (share, _) in _SLIS.items()
    ]


def _bad(slo: Slo, window: str) -> list[Rule]:
    return [
        record(f"scoring:{name}_errors:increase{window}", count(slo, window))
        for name, (_, count) in _SLIS.items()
    ]


def _budgets(slo: Slo) -> list[Rule]:
    window = slo.objective.window
    return [
        record(
            f"scoring:error_budget_left:ratio{window}",
            f"1 - (\n{share(slo, window)}\n) / {number(1 - getattr(slo.objective, name))}",
            slo=name,
        )
        for name, (share, _) in _SLIS.items()
    ]


# "or vector(0)" gives a window without requests or errors the value 0: a ratio that is NaN or
# absent would end an alert and leave a gap in a graph.


def _failed_share(_: Slo, window: str) -> str:
    return (
        f'(sum(rate({_REQUESTS}{{{SCORING},status=~"5.."}}[{window}])) or vector(0))\n'
        f'/ (sum(rate({_REQUESTS}{{{SCORING},status!~"4.."}}[{window}])) > 0)\n'
        "or vector(0)"
    )


def _failed_count(_: Slo, window: str) -> str:
    return f'sum(increase({_REQUESTS}{{{SCORING},status=~"5.."}}[{window}])) or vector(0)'


def _slow_share(slo: Slo, window: str) -> str:
    # If the target were no bound of the histogram, all requests would count as slow.
    return (
        f"1 - (sum(rate({_quick(slo)}[{window}])) or vector(0))\n"
        f"/ (sum(rate({_answered()}[{window}])) > 0)\n"
        "or vector(0)"
    )


def _slow_count(slo: Slo, window: str) -> str:
    return (
        f"sum(increase({_answered()}[{window}]))\n"
        f"- (sum(increase({_quick(slo)}[{window}])) or vector(0))\n"
        "or vector(0)"
    )


def _answered() -> str:
    return f'{_DURATION}_count{{{SCORING},status!~"[45].."}}'


def _quick(slo: Slo) -> str:
    # The Python client writes a bound as a float: "1.0", not "1".
    bound = float(slo.objective.latency_seconds)
    return f'{_DURATION}_bucket{{{SCORING},status!~"[45]..",le="{bound!r}"}}'


# The indicators: the share of bad requests in a window, and their number.
_SLIS: Final[dict[str, tuple[Callable[[Slo, str], str], Callable[[Slo, str], str]]]] = {
    "availability": (_failed_share, _failed_count),
    "latency": (_slow_share, _slow_count),
}


def _alert(slo: Slo, name: str, burn: Burn) -> Rule:
    speed = "Fast" if burn.severity == "page" else "Slow"
    objective: float = getattr(slo.objective, name)
    limit = f"{number(burn.factor)} * {number(1 - objective)}"
    bad = f"scoring:{name}_errors"
    hours = number(round(seconds(slo.objective.window) / burn.factor / 3600))
    return Alerts(slo.runbook).make(
        f"{name.capitalize()}Burn{speed}",
        f"{bad}:ratio_rate{burn.long} > {limit}\n"
        f"and {bad}:ratio_rate{burn.short} > {limit}\n"
        f"and {bad}:increase{burn.long} >= {slo.traffic.min_bad_requests}",
        severity=burn.severity,
        sustained=burn.sustained,
        summary=f"{_sli_text(slo, name)}: {{{{ $value | humanizePercentage }}}} in {burn.long}",
        description=(
            f"Over {burn.long}, {{{{ $value | humanizePercentage }}}} of the scoring requests: "
            f"{_sli_text(slo, name)}; {percent(1 - objective)} is allowed over "
            f"{slo.objective.window}. At {number(burn.factor)} times the allowed rate the budget "
            f"is gone in {hours} h."
        ),
        slo=name,
        long=burn.long,
        short=burn.short,
    )


def _sli_text(slo: Slo, name: str) -> str:
    slow = f"not ready within {number(1000 * slo.objective.latency_seconds)} ms"
    return {"availability": "answered with 5xx", "latency": slow}[name]
