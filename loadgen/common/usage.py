"""Processor time and memory of a process tree."""

import resource
import time
from contextlib import suppress
from typing import Final, NamedTuple

import psutil

from loadgen.common.errors import CannotStart

_SETTLE_SECONDS: Final = 60.0
# The processor clock ticks a hundred times a second: less than two ticks is idle.
_IDLE_WINDOW: Final = 0.25
_IDLE_CPU_SECONDS: Final = 0.02


class Memory(NamedTuple):
    """MiB. `rss` counts shared pages once for each process, `pss` once in all."""

    rss: float
    pss: float


def cpu_by_process(pid: int) -> dict[int, float]:
    """User and system seconds of each process, its ended children included."""
    seconds = {}
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            seconds[process.pid] = float(sum(process.cpu_times()[:4]))
    return seconds


def cpu_total(pid: int) -> float:
    """User and system seconds of the whole tree since its start."""
    return sum(cpu_by_process(pid).values())


def cpu_of_children(pid: int, module: str) -> float:
    """The same of the children that run a module of Python, with all below them."""
    children = psutil.Process(pid).children()
    return sum(cpu_total(one.pid) for one in children if module in one.cmdline())


def busiest_share(before: dict[int, float], after: dict[int, float]) -> float:
    """The busiest process's share of the processor time between two readings, 0 to 1."""
    spent = [seconds - before.get(pid, 0.0) for pid, seconds in after.items()]
    return max(spent) / sum(spent) if sum(spent) > 0 else 0.0


def cpu_of_all() -> float:
    """Busy seconds of all cores since boot, stolen time included."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def cpu_of_ended_children() -> float:
    """User and system seconds of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def settle(pid: int) -> None:
    """Wait until the process tree is idle: started, and done with its requests.

    Raises CannotStart.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    before = cpu_total(pid)
    while time.monotonic() < deadline:
        time.sleep(_IDLE_WINDOW)
        now = cpu_total(pid)
        if now - before < _IDLE_CPU_SECONDS:
            return
        before = now
    raise CannotStart(f"The target was not idle within {_SETTLE_SECONDS:.0f} s")


def memory(pid: int) -> Memory:
    """The memory of the whole tree now."""
    rss = pss = 0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            full = process.memory_full_info()
            rss += full.rss
            pss += full.pss
    return Memory(rss / 2**20, pss / 2**20)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
