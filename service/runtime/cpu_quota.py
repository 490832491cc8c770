"""How many CPUs this process may use: its cgroup's quota, not the machine's cores."""

import math
import os
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")


def available(root: Path = CGROUPS) -> int:
    """Whole CPUs, rounded up, at least 1."""
    cores = len(os.sched_getaffinity(0))
    given = quota(root) or quota(root / "cpu")
    return max(1, min(cores, math.ceil(given))) if given else cores


def quota(group: Path) -> float | None:
    """The CPU quota of a control group of either version; None without a limit."""
    return _quota_v2(group) or _quota_v1(group)


def _quota_v2(group: Path) -> float | None:
    """cpu.max holds `quota period`, or `max period` when there is no limit."""
    try:
        given, period = (group / "cpu.max").read_text().split()
        return int(given) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(group: Path) -> float | None:
    """The quota in microseconds for each period; -1 when there is no limit."""
    try:
        given = int((group / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return given / period if given > 0 else None
