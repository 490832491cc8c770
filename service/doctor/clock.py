"""The clock: logs, traces and certificates go by it. Scores do not."""

import ctypes
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from service.doctor.finding import Finding, fail, ok, unknown, warn

# What adjtimex returns when nobody keeps the clock right: the kernel's TIME_ERROR.
_UNKEPT: Final = 5
# More than Linux' struct timex has.
_TIMEX: Final = 512
_YEARS: Final = range(2026, 2100)
_SLACK: Final = timedelta(days=1)
_MEND: Final = "set the clock, and run chrony or systemd-timesyncd (in a container: on its host)"


def kernel_state() -> int:
    """What the kernel says of its clock, negative if it says nothing. Changes nothing."""
    return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX)))


def clock(
    file: Path,
    now: datetime | None = None,
    state: Callable[[], int] = kernel_state,
) -> Iterator[Finding]:
    """Whether the time is plausible, also beside a file installed, and whether it is kept right."""
    now = now or datetime.now(UTC)
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    if now.year not in _YEARS:
        yield fail("clock", f"it says that this is the year {now.year}", _MEND)
    elif written > now + _SLACK:
        found = f"it says {now:%Y-%m-%d}, but {file.name} was installed on {written:%Y-%m-%d}"
        yield warn("clock", found, _MEND)
    elif (told := state()) < 0:
        yield unknown("clock", "whether anybody keeps it right can't be told here")
    elif told == _UNKEPT:
        yield warn("clock", "nobody keeps it right, as the kernel knows", _MEND)
    else:
        yield ok("clock", f"{now:%Y-%m-%d %H:%M} UTC, kept by NTP")
