"""`python -m service.doctor`: look for every known trap, a line each, and how to mend it."""

import argparse
import os
import sys
from collections.abc import Sequence

from service.config.settings import SettingsError, load, of_others
from service.doctor import forms
from service.doctor.checks import findings
from service.doctor.finding import Finding, fail

_EPILOG = """\
Signs: ✓ fine, ! a warning, ✗ it fails, ? it can't be told here. Exit codes: 0 nothing fails,
1 something does, 78 the settings can't be read. The settings are those that the server would
get: run it as the same user, in the same folder and container. A server that runs is left alone.
"""


def main() -> int:
    """Report on standard output; the exit code."""
    arguments = _arguments()
    try:
        settings = load()
    except SettingsError as error:
        trouble = fail("settings", str(error), "the server would not start: see .env.example")
        _tell([trouble], as_json=arguments.json)
        return os.EX_CONFIG
    found = findings(settings)
    _tell(found, as_json=arguments.json)
    bad = ("fail", "warn") if arguments.strict else ("fail",)
    return int(any(finding.level in bad for finding in found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m service.doctor",
        description="Check this machine and these settings for every known trap.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="tell the findings as JSON")
    parser.add_argument("--strict", action="store_true", help="let a warning fail too")
    return parser.parse_args()


def _tell(found: Sequence[Finding], *, as_json: bool) -> None:
    colour = sys.stdout.isatty() and not of_others("NO_COLOR")
    text = forms.as_json(found) if as_json else forms.lines(found, colour=colour)
    # Bytes: a terminal of another encoding gets odd signs rather than an error.
    sys.stdout.buffer.write(text.encode())


if __name__ == "__main__":
    sys.exit(main())
