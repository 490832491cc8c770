"""The quality of the decisions of a log: in all, by day, class, version and decision."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import isnan
from typing import Any, Final, NamedTuple

from service.decisions import quality
from service.decisions.groups import Groups
from service.decisions.log import DecisionLog
from service.decisions.probabilities import Bin, reliability
from service.decisions.quality import MANUAL, Evidence, Figures, Labelled, Rate
from service.decisions.store import Row

# More classes than these are one: callers send their names.
MOST_CLASSES: Final = 20
OTHERS: Final = "others"
BY: Final = ("decision", "version", "class", "day")


class Measured(NamedTuple):
    """Figures of all decisions, and by what they are of (`BY`) and its value.

    `labels` is the number of labelled decisions, and `left_out` that of automatic ones that no
    audit drew: how probable it was that they got a label is not known.
    """

    every: Figures
    by: dict[str, dict[str, Figures]]
    reliability: list[Bin]
    labels: int
    evidence: Evidence
    left_out: int


class Measurement(NamedTuple):
    """What is measured by: costs of wrong decisions, and the rate of them that is promised."""

    costs: Mapping[str, float]
    limit: float
    groups: Groups
    newest: int = -1


def measured(log: DecisionLog, condition: str, values: Sequence[Any], how: Measurement) -> Measured:
    """The quality of the labelled decisions that a condition of SQL chooses."""
    # Those that were forgotten, too: what this needs of them is nothing personal.
    found = list(log.store.labelled(condition, *values, newest=how.newest))
    labelled = [_labelled(row, outcome) for row, outcome in found]
    named = [_names(log, row, how.groups) for row, _ in found]
    _limit_classes(named)
    by = {name: _by(labelled, [each[name] for each in named], how.costs) for name in BY}
    return Measured(
        quality.figures(labelled, how.costs),
        by,
        reliability(quality.drawn(labelled)),
        len(labelled),
        _evidence(labelled, how.limit),
        sum(one.weight == 0 for one in labelled),
    )


def evidence(log: DecisionLog, version: str, limit: float) -> Evidence:
    """The evidence of all labels against a version."""
    found = log.store.labelled("version = ?", version)
    return _evidence((_labelled(row, outcome) for row, outcome in found), limit)


def text(found: Measured) -> str:
    """A table."""
    lines = [
        f"{'wrong':32}{'rate':>8}  {'95 % interval':16} {'labels':>6}     AUC     ECE     cost"
    ]
    lines.append(_line("all automatic decisions", found.every))
    for name, by in found.by.items():
        lines += [_line(f"{name} {value}", figures) for value, figures in by.items()]
    limit, wealth = found.evidence.limit, found.evidence.wealth
    lines.append(f"labels without a known probability, left out: {found.left_out}")
    lines.append(f"evidence against at most {limit:.2%}: {wealth:.3g} (20 is enough)")
    return "\n".join(lines)


def _labelled(row: Row, outcome: str) -> Labelled:
    return Labelled(row.decision, outcome, row.audited, row.positive or 0.0)


def _evidence(labelled: Iterable[Labelled], limit: float) -> Evidence:
    made = Evidence(limit)
    for one in labelled:
        if one.decision != MANUAL and one.audited:
            made.add(one.is_wrong)
    return made


def _names(log: DecisionLog, row: Row, groups: Groups) -> dict[str, str]:
    return {
        "decision": row.decision,
        "version": row.version,
        "class": groups.of(log, row),
        "day": datetime.fromtimestamp(row.time, UTC).date().isoformat(),
    }


def _limit_classes(named: Sequence[dict[str, str]]) -> None:
    counts = Counter(each["class"] for each in named)
    shown = {name for name, _ in counts.most_common(MOST_CLASSES)}
    for each in named:
        if each["class"] not in shown:
            each["class"] = OTHERS


def _by(
    labelled: Sequence[Labelled], names: Sequence[str], costs: Mapping[str, float]
) -> dict[str, Figures]:
    grouped: dict[str, list[Labelled]] = {}
    for one, name in zip(labelled, names, strict=True):
        grouped.setdefault(name, []).append(one)
    return {name: quality.figures(grouped[name], costs) for name in sorted(grouped)}


def _line(name: str, figures: Figures) -> str:
    measures = "".join(
        f"{'-' if isnan(value) else format(value, '.4f'):>8}"
        for value in (figures.auc, figures.calibration_error, figures.cost)
    )
    return f"{name:32}{_rate(figures.errors)}{measures}"


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return f"{'-':>8}  {'no audited label':16} {0:>6}"
    interval = f"{rate.low:.2%} to {rate.high:.2%}"
    return f"{rate.value:>8.2%}  {interval:16} {rate.labels:>6}"
