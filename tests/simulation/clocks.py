"""The core's clocks, shown the simulated time.

The modules of the core take their clocks by name, `from time import monotonic`, so that a hot path
has one call to make. Here each such name is given another function, in every module of the service
and the model that has one; `test_clocks.py` sees to it that there are no other ways to a clock.
"""

import sys
import time
from asyncio import get_running_loop
from collections.abc import Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType
from typing import Any, Final

from detangle import _timepatch

_ROOMS: Final = ("service", "model")
# The wall clock at the begin of each schedule: that of detangle's `patch_time`, which shows the
# simulated time to those who ask `time.time()`, such as the standard library.
EPOCH: Final = _timepatch.EPOCH


def monotonic() -> float:
    """Instead of `time.monotonic` and `time.perf_counter`."""
    return get_running_loop().time()


def wall() -> float:
    """Instead of `time.time`."""
    return EPOCH + get_running_loop().time()


_SIMULATED: Final[dict[Any, Any]] = {
    time.monotonic: monotonic,
    time.perf_counter: monotonic,
    time.time: wall,
}


def names() -> list[tuple[Any, str, Any]]:
    """Where the core has a real clock: module, name and clock."""
    modules = [m for name, m in sorted(sys.modules.items()) if name.partition(".")[0] in _ROOMS]
    return [
        (module, name, value)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, BuiltinFunctionType) and value in _SIMULATED
    ]


@contextmanager
def simulated() -> Iterator[None]:
    """Show the core the time of the loop that runs."""
    real = names()
    for module, name, clock in real:
        setattr(module, name, _SIMULATED[clock])
    try:
        yield
    finally:
        for module, name, clock in real:
            setattr(module, name, clock)
