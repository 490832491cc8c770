"""`python -m service.doctor`: run all checks and report them, a line each with its remedy."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from service.config.settings import SettingsError, load, other_variables
from service.doctor.checks import findings
from service.doctor.finding import LEVELS, Finding, Level, fail

_EPILOG: Final = """\
Signs: ✓ fine, ! a warning, ✗ it fails, ? unknown on this machine. Exit codes: 0 nothing fails,
1 something does, 78 the settings can't be read. The settings are those that the server would
get: run it as the same user, in the same folder and container. A running server is not disturbed.
"""
_SIGNS: Final[dict[Level, str]] = {"ok": "✓", "warn": "!", "fail": "✗", "unknown": "?"}
_COLOURS: Final[dict[Level, str]] = {"ok": "32", "warn": "33", "fail": "31", "unknown": "36"}


def main() -> int:
    """Report on standard output; the exit code."""
    arguments = _arguments()
    try:
        settings = load()
    except SettingsError as error:
        failure = fail("settings", str(error), "the server would not start: see .env.example")
        _report([failure], as_json=arguments.json)
        return os.EX_CONFIG
    results = findings(settings)
    _report(results, as_json=arguments.json)
    bad = ("fail", "warn") if arguments.strict else ("fail",)
    return int(any(finding.level in bad for finding in results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=getattr(sys.modules["__main__"], "PROGRAM", "python -m service.doctor"),
        description="Check this machine and the settings for known faults.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="write the findings as JSON")
    parser.add_argument("--strict", action="store_true", help="treat a warning as a failure")
    return parser.parse_args()


def _report(results: Sequence[Finding], *, as_json: bool) -> None:
    colour = sys.stdout.isatty() and not other_variables("NO_COLOR")
    text = _as_json(results) if as_json else _as_lines(results, colour=colour)
    # Bytes: a terminal of another encoding gets odd signs rather than an error.
    sys.stdout.buffer.write(text.encode())


def _as_json(results: Sequence[Finding]) -> str:
    """One object: how many of each level there are, and the findings."""
    content = {"counts": _counts(results), "findings": results}
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"


def _as_lines(results: Sequence[Finding], *, colour: bool) -> str:
    """One line for each finding with its remedy below, and the counts at the end."""
    width = max(len(finding.name) for finding in results)
    body = [line for finding in results for line in _lines_of(finding, width, colour=colour)]
    counts = _counts(results)
    total = ", ".join(
        f"{counts[level]} {_sign(level, colour=colour)}" for level in LEVELS if counts[level]
    )
    return "\n".join([*body, "", f"{len(results)} findings: {total}", ""])


def _counts(results: Sequence[Finding]) -> dict[Level, int]:
    counts = Counter(finding.level for finding in results)
    return {level: counts[level] for level in LEVELS}


def _lines_of(finding: Finding, width: int, *, colour: bool) -> list[str]:
    first = f"{_sign(finding.level, colour=colour)} {finding.name:{width}}  {finding.description}"
    return [first, f"  {'':{width}}    {finding.remedy}"] if finding.remedy else [first]


def _sign(level: Level, *, colour: bool) -> str:
    return f"\x1b[{_COLOURS[level]}m{_SIGNS[level]}\x1b[0m" if colour else _SIGNS[level]


if __name__ == "__main__":
    sys.exit(main())
