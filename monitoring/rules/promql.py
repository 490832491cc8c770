"""The pieces that the rules are put together from."""

from typing import Any, Final, Literal

Rule = dict[str, Any]
Group = dict[str, Any]
Severity = Literal["page", "ticket"]

# The service counts it by the route's template, single readings and arrays alike.
SCORING: Final = 'route="/reg",method="POST"'


def record(name: str, expr: str, **labels: str) -> Rule:
    """A recording rule; a name says level:metric:operations, as Prometheus advises."""
    rule: Rule = {"record": name, "expr": expr}
    if labels:
        rule["labels"] = labels
    return rule


def group(name: str, rules: list[Rule], interval: str = "") -> Group:
    """Rules evaluated one after another; without an interval at the server's own."""
    return {"name": name, **({"interval": interval} if interval else {}), "rules": rules}


class Alerts:
    """Makes alerts that all carry the same labels and links."""

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
        """An alert that fires when `expr` has held for `sustained`; empty: at once."""
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
    """A number without the noise of binary fractions: 1 - 0.999 is 0.001."""
    return f"{value:.10g}"


def percent(share: float) -> str:
    """A share as people read it: 0.999 is "99.9 %"."""
    return f"{number(100 * share)} %"
