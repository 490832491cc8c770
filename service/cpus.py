"""How many CPUs this process may use: its cgroup's quota, not the machine's cores."""

import math
import os
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")


def available(root: Path = CGROUPS) -> int:
    """Whole CPUs, rounded up, at least 1."""
    cores = len(os.sched_getaffinity(0))
    quota = _quota_v2(root) or _quota_v1(root)
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def _quota_v2(root: Path) -> float | None:
    """cpu.max holds `quota period`, or `max period` when there is no limit."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(root: Path) -> float | None:
    """The quota in microseconds for each period; -1 when there is no limit."""
    try:
        quota = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period = int((root / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None
