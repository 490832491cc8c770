"""Processor time and memory of a process and all its descendants."""

import resource
from contextlib import suppress
from typing import NamedTuple

import psutil


class Memory(NamedTuple):
    """MiB. `rss` counts shared pages once for each process, `pss` once in all."""

    rss: float
    pss: float


def cpu_by_process(pid: int) -> dict[int, float]:
    """User and system seconds of each process, with those of its ended children."""
    seconds = {}
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            seconds[process.pid] = float(sum(process.cpu_times()[:4]))
    return seconds


def cpu_total(pid: int) -> float:
    """User and system seconds of the whole tree since it began."""
    return sum(cpu_by_process(pid).values())


def busiest_share(before: dict[int, float], after: dict[int, float]) -> float:
    """The part of the processor time in between that its busiest process took, 0 to 1."""
    spent = [seconds - before.get(pid, 0.0) for pid, seconds in after.items()]
    return max(spent) / sum(spent) if sum(spent) > 0 else 0.0


def cpu_of_all() -> float:
    """Seconds that all cores together have worked since boot, and those stolen by other guests."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def cpu_of_ended_children() -> float:
    """User and system seconds of the programs that this one ran and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
