"""What the doctor makes of the software: Python, packages, the clock, the user."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.doctor import clock, files, python
from tests.support.doctor import only


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10, 14), "fail"), ((3, 11, 0), "ok"), ((3, 13, 1), "ok")]
)
def test_the_version_of_python(version: tuple[int, ...], level: str) -> None:
    assert only(python.python(version)).level == level


def test_the_packages_are_those_that_were_tested(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    assert only(python.packages(lock)).level == "unknown"
    assert only(python.packages()).level == "ok"
    lock.write_text("gunicorn==1.0 \\\n    --hash=sha256:0\n")
    other = only(python.packages(lock))
    assert other.level == "warn"
    assert other.found.endswith(", tested 1.0")
    lock.write_text("no-such-package==1.0 \\\nelsewhere==1 ; sys_platform == 'win32' \\\n")
    missing = only(python.packages(lock))
    assert (missing.level, missing.found) == ("fail", "not installed: no-such-package")


@pytest.mark.parametrize(
    ("now", "state", "level"),
    [
        (datetime(1970, 1, 2, tzinfo=UTC), 0, "fail"),
        (datetime(2106, 2, 7, tzinfo=UTC), 0, "fail"),
        (datetime(2026, 6, 1, tzinfo=UTC), 0, "warn"),
        (datetime(2026, 7, 2, tzinfo=UTC), 0, "ok"),
        (datetime(2026, 7, 2, tzinfo=UTC), 5, "warn"),
        (datetime(2026, 7, 2, tzinfo=UTC), -1, "unknown"),
    ],
)
def test_the_clock(now: datetime, state: int, level: str, tmp_path: Path) -> None:
    file = tmp_path / "installed.py"
    file.touch()
    written = datetime(2026, 7, 1, tzinfo=UTC).timestamp()
    os.utime(file, (written, written))
    assert only(clock.clock(file, now, lambda: state)).level == level


def test_the_kernel_tells_of_its_clock() -> None:
    assert clock.kernel_state() in range(-1, 6)


def test_the_user() -> None:
    assert only(files.user(0)).level == "warn"
    assert only(files.user(1000)).level == "ok"
