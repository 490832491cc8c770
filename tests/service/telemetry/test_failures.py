"""What is reported of failures: types and places, once a minute; and what fails ends nothing."""

import errno
import logging
import sys
from collections.abc import Callable

import pytest

from service.process import ulimits
from service.telemetry.failures import Contained, described

_SECRET = "А939НО196"


def _fail() -> None:
    raise ValueError(_SECRET) from KeyError(_SECRET)


def _lack() -> None:
    raise OSError(errno.ENOSPC, _SECRET, _SECRET)


def _raised(work: Callable[[], None]) -> BaseException:
    with pytest.raises((ValueError, OSError)) as caught:
        work()
    return caught.value


def test_an_exception_is_reported_by_its_type_and_place() -> None:
    description = described(_raised(_fail))
    assert description.startswith(f"ValueError at {__file__}:")
    assert description.split(" < ")[0].endswith(" _fail")
    assert _SECRET not in description


def test_an_error_of_the_operating_system_is_reported_with_its_reason() -> None:
    description = described(_raised(_lack))
    assert description.startswith(f"OSError (No space left on device) at {__file__}:")
    assert _SECRET not in description


def test_a_part_that_fails_is_counted_each_time_and_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    counted: list[str] = []
    contained = Contained(lambda: now[0])
    contained.start(counted.append)
    for second in range(121):
        now[0] = float(second)
        contained("drift", _fail)
    assert counted == ["drift"] * 121
    assert len(caplog.records) == 3
    contained("stages", _fail)
    assert len(caplog.records) == 4
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert _SECRET not in caplog.text


def test_even_the_count_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    contained = Contained()
    contained.start(lambda _: _fail())
    contained("drift", _fail)
    assert len(caplog.records) == 1


def test_a_stop_is_no_failure() -> None:
    with pytest.raises(SystemExit):
        Contained()("drift", sys.exit)


@pytest.mark.parametrize(
    ("limit", "wanted", "allowed"),
    [
        (None, 1000, 1000),
        (1048, 1000, 1000),
        (1047, 1000, 999),
        (60, 1000, 12),
        (49, 1000, 1),
        (48, 1000, 0),
        (10, 1000, 0),
        (1024, 16, 16),
    ],
)
def test_connections_are_what_files_are_left_for(
    limit: int | None, wanted: int, allowed: int
) -> None:
    assert ulimits.connections(limit, wanted) == allowed
