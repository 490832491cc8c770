"""Programs that a measurement starts."""

import sys
from pathlib import Path

import pytest

from loadgen.common import processes
from loadgen.common.errors import CannotStart


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotStart, match="no-such-program is not installed"),
        processes.running(("no-such-program",), tmp_path / "log", lambda: False),
    ):
        pass


def test_the_log_of_a_program_that_ends_is_quoted(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no luck today')")
    with (
        pytest.raises(CannotStart, match=r"code 1: .*\nno luck today"),
        processes.running(command, tmp_path / "log", lambda: False),
    ):
        pass
