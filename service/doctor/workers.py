"""How many workers there would be, against the CPUs that there are."""

import math
import os
from collections.abc import Iterator

from service.config.settings import Settings
from service.doctor.finding import Finding, ok, warn
from service.doctor.machine import Machine
from service.process import cpu_quota


def count(settings: Settings) -> int:
    """The workers that a server would start."""
    return settings.workers or cpu_quota.available()


def workers(machine: Machine, wanted: int, cores: int | None = None) -> Iterator[Finding]:
    """One for each CPU: more only take turns, and a quota stops them all at once."""
    cores = cores or len(os.sched_getaffinity(0))
    quota = machine.cpu_quota()
    given = min(cores, quota or cores)
    shown = f"{wanted} on {given:g} CPUs"
    if wanted > math.ceil(given):
        mend = f"SCORING_WORKERS={math.ceil(given)}"
        yield warn("workers", f"{shown}: more than CPUs only take turns", mend)
    elif wanted > given:
        found = f"{shown}: the quota is used up early, and all stand still for its rest"
        yield warn("workers", found, f"a quota of {wanted} whole CPUs")
    else:
        yield ok("workers", shown)
