"""Whether the memory holds the server, and a second generation of workers at a reload."""

from collections.abc import Iterator
from typing import Final

from service.doctor.finding import Finding, fail, ok, warn
from service.doctor.machine import Machine

# Measured with the bundled model: resident in the master 123 MiB, of which a process that only
# loads the model has 103; a worker's own pages after arrays of 10,000 rows 38.
_LOADED: Final = 103 << 20
_SERVER: Final = 20 << 20
_WORKER: Final = 40 << 20
_MIB: Final = 1 << 20
_GONE: Final = 0.2


def memory(machine: Machine, workers: int, loaded: int | None) -> Iterator[Finding]:
    """`loaded` is what a process held after loading this model, in bytes, if it is known."""
    ceiling = machine.ceiling("memory", "memory.max", "memory.limit_in_bytes")
    room = machine.memory()["MemAvailable"] if ceiling is None else ceiling
    serving = (loaded or _LOADED) + _SERVER + workers * _WORKER
    reloading = serving + workers * _WORKER
    shown = f"{room // _MIB:,} MiB {'available' if ceiling is None else 'allowed'}"
    needed = f"{workers} workers take {serving // _MIB:,}, a reload {reloading // _MIB:,}"
    mend = "raise the limit, or lower SCORING_WORKERS"
    if room < serving:
        yield fail("memory", f"{shown}; {needed}", mend)
    elif room < reloading:
        yield warn(
            "memory", f"{shown}; {needed}", f"{mend}: a HUP may end in an out-of-memory kill"
        )
    else:
        yield ok("memory", f"{shown}; {needed}")


def swap(machine: Machine) -> Iterator[Finding]:
    """Whether the machine has been short of memory: a swapped worker answers late."""
    told = machine.memory()
    total, used = told["SwapTotal"], told["SwapTotal"] - told["SwapFree"]
    if used > _GONE * total:
        found = f"{used // _MIB:,} of {total // _MIB:,} MiB are swapped out: first requests wait"
        yield warn("swap", found, "give the machine more memory, or the container no swap")
    else:
        yield ok("swap", f"{used // _MIB:,} MiB in use" if total else "none")
