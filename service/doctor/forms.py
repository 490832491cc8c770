"""The report: for people as lines, for machines as JSON."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from service.doctor.finding import LEVELS, Finding, Level

_SIGNS: Final[dict[Level, str]] = {"ok": "✓", "warn": "!", "fail": "✗", "unknown": "?"}
_COLOURS: Final[dict[Level, str]] = {"ok": "32", "warn": "33", "fail": "31", "unknown": "36"}


def lines(findings: Sequence[Finding], *, colour: bool) -> str:
    """One line for each finding, what mends it below, and a sum at the end."""
    width = max(len(finding.name) for finding in findings)
    body = [line for finding in findings for line in _lines_of(finding, width, colour=colour)]
    counts = _counts(findings)
    total = ", ".join(
        f"{counts[level]} {_sign(level, colour=colour)}" for level in LEVELS if counts[level]
    )
    return "\n".join([*body, "", f"{len(findings)} findings: {total}", ""])


def as_json(findings: Sequence[Finding]) -> str:
    """One object: how many of each level there are, and the findings."""
    told = {"counts": _counts(findings), "findings": findings}
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n"


def _counts(findings: Sequence[Finding]) -> dict[Level, int]:
    counts = Counter(finding.level for finding in findings)
    return {level: counts[level] for level in LEVELS}


def _lines_of(finding: Finding, width: int, *, colour: bool) -> list[str]:
    first = f"{_sign(finding.level, colour=colour)} {finding.name:{width}}  {finding.found}"
    return [first, f"  {'':{width}}    {finding.mend}"] if finding.mend else [first]


def _sign(level: Level, *, colour: bool) -> str:
    return f"\x1b[{_COLOURS[level]}m{_SIGNS[level]}\x1b[0m" if colour else _SIGNS[level]
