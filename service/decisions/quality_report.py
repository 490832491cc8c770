"""The quality of the decisions of a log, in all and by version, as a table."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from service.decisions.log import DecisionLog
from service.decisions.quality import MANUAL, Evidence, Labelled, Rate, error_rate


class Measured(NamedTuple):
    """Error rates by what they are of, and the evidence against the promised rate.

    `left_out` are labels of automatic decisions that no audit drew: how probable it was that they
    got one is not known.
    """

    rates: dict[str, Rate | None]
    evidence: Evidence
    left_out: int


def measured(log: DecisionLog, condition: str, values: Sequence[Any], limit: float) -> Measured:
    """The quality of the labelled decisions that a condition of SQL chooses."""
    by_version: dict[str, list[Labelled]] = {}
    evidence, left_out = Evidence(limit), 0
    for version, one in _labelled(log, condition, values):
        by_version.setdefault(version, []).append(one)
        if one.decision != MANUAL and one.audited:
            evidence.add(one.is_wrong)
        left_out += one.weight == 0
    every = [one for found in by_version.values() for one in found]
    rates = {"all automatic decisions": error_rate(every)}
    for side in ("camera", "network"):
        rates[f"for the {side}"] = error_rate([one for one in every if one.decision == side])
    for version, found in by_version.items():
        rates[f"version {version}"] = error_rate(found)
    return Measured(rates, evidence, left_out)


def text(found: Measured) -> str:
    """The table."""
    lines = [f"{'wrong':32}{'rate':>8}  95 % interval    labels"]
    lines += [_line(name, rate) for name, rate in found.rates.items()]
    limit, wealth = found.evidence.limit, found.evidence.wealth
    lines.append(f"labels without a known probability, left out: {found.left_out}")
    lines.append(f"evidence against at most {limit:.2%}: {wealth:.3g} (20 is enough)")
    return "\n".join(lines)


def _line(name: str, rate: Rate | None) -> str:
    if rate is None:
        return f"{name:32}{'-':>8}  no audited label"
    interval = f"{rate.low:.2%} to {rate.high:.2%}"
    return f"{name:32}{rate.value:>8.2%}  {interval:16} {rate.labels:>6}"


def _labelled(
    log: DecisionLog, condition: str, values: Sequence[Any]
) -> Iterator[tuple[str, Labelled]]:
    """Those that were forgotten, too: what this needs of them is nothing personal."""
    for row, outcome in log.store.labelled(condition, *values):
        yield row.version, Labelled(row.decision, outcome, row.audited)
