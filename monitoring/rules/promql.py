"""Parts of rules: recording rules, groups, alerts, numbers."""

from typing import Any, Final, Literal

Rule = dict[str, Any]
Group = dict[str, Any]
Severity = Literal["page", "ticket"]

# The route's template of the default model, for single readings and arrays: objectives and alerts
# are about it alone. Those of other models have the same series under their own routes.
SCORING: Final = 'route="/reg",method="POST"'


def record(name: str, expr: str, **labels: str) -> Rule:
    """A recording rule; its name is level:metric:operations, as Prometheus recommends."""
    rule: Rule = {"record": name, "expr": expr}
    if labels:
        rule["labels"] = labels
    return rule


def group(name: str, rules: list[Rule], interval: str = "") -> Group:
    """Rules that are evaluated in order, at this interval or the server's."""
    return {"name": name, **({"interval": interval} if interval else {}), "rules": rules}


def disappeared(count: str) -> str:
    """A condition: `count` is 0 or has no series, and was above 0 within the last day.

    So what was never deployed raises no alert.
    """
    return f"({count} or vector(0)) == 0 and max_over_time({count}[1d:5m]) > 0"


class Alerts:
    """Builds alerts with the common labels and links."""

    def __init__(self, runbook: str) -> None:
        self._runbook = runbook

    def make(  # noqa: PLR0913 - so many parts has an alert
        self,
        name: str,
        expr: str,
        *,
        severity: Severity,
        summary: str,
        description: str,
        sustained: str = "",
        **labels: str,
    ) -> Rule:
        """An alert that fires when `expr` has been true for `sustained`; empty means at once."""
        return {
            "alert": name,
            "expr": expr,
            **({"for": sustained} if sustained else {}),
            "labels": {"severity": severity, "service": "scoring", **labels},
            "annotations": {
                "summary": summary,
                "description": description,
                "runbook_url": f"{self._runbook}#{name.lower()}",
            },
        }


def number(value: float) -> str:
    """A number without binary rounding errors: 1 - 0.999 is 0.001."""
    return f"{value:.10g}"


def percent(share: float) -> str:
    """A share in per cent: 0.999 is "99.9 %"."""
    return f"{number(100 * share)} %"
