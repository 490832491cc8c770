"""The machine: CPUs, memory, limits of the kernel and of control groups, and the packages."""

import math
import os
import re
import resource
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from gunicorn.config import WorkerConnections

from service.config.settings import Settings
from service.doctor.finding import Finding, fail, ok, unknown, warn
from service.process.ulimits import OWN_FILES
from service.runtime import cpu_quota

# Control groups of version 1 say "no limit" by a number about as great as fits.
_NO_LIMIT: Final = 1 << 60
_CONTAINER_MARKS: Final = (".dockerenv", "run/.containerenv")
_POD_MARK: Final = "var/run/secrets/kubernetes.io"
_CGROUPS: Final = "sys/fs/cgroup"
_IN_MEMORY: Final = frozenset(("tmpfs", "ramfs"))
# Measured with the bundled model: resident in the master 123 MiB, of which a process that only
# loads the model has 103; a worker's own pages after arrays of 10,000 rows 38.
_LOADED: Final = 103 << 20
_SERVER: Final = 20 << 20
_WORKER: Final = 40 << 20
_MIB: Final = 1 << 20
CONNECTIONS: Final[int] = WorkerConnections.default
# Itself, and a thread each for a scrape, for Sentry and for traces.
_TASKS: Final = 4
LOCK: Final = Path(__file__).parents[2] / "requirements.lock"
# Packages for every platform: those with a marker behind may rightly be missing.
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\$", re.MULTILINE)
_INSTALL: Final = "pip install --only-binary :all: --require-hashes -r requirements.lock"


class Machine:
    """Files below a root, which is `/`.

    Files may be missing or odd: the caller handles OSError and ValueError as an unknown result.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def text(self, path: str) -> str:
        """The content of a file, without the line's end."""
        return (self.root / path).read_text("utf-8", "replace").strip()

    def number(self, path: str) -> int:
        """The first number in a file."""
        return int(self.text(path).split()[0])

    def memory(self) -> dict[str, int]:
        """The fields of /proc/meminfo, in bytes."""
        lines = (line.split() for line in self.text("proc/meminfo").splitlines())
        return {fields[0].rstrip(":"): int(fields[1]) * 1024 for fields in lines}

    def room(self) -> int:
        """The memory that this process' control groups allow, else what is available; in bytes."""
        ceiling = self.ceiling("memory", "memory.max", "memory.limit_in_bytes")
        return self.memory()["MemAvailable"] if ceiling is None else ceiling

    @property
    def in_pod(self) -> bool:
        """Whether this is a container of Kubernetes."""
        return (self.root / _POD_MARK).exists()

    @property
    def in_container(self) -> bool:
        """Whether this is a container, by the usual marks."""
        return self.in_pod or any((self.root / mark).exists() for mark in _CONTAINER_MARKS)

    def file_system(self, folder: Path) -> str:
        """The type of the file system that a folder is on."""
        types = {}
        for line in self.text("proc/mounts").splitlines():
            _, point, kind, *_ = line.split()
            if folder.resolve().is_relative_to(point):
                types[point] = kind  # the later mount hides the earlier one
        return types[max(types, key=len)]

    def is_in_memory(self, folder: Path) -> bool:
        """Whether a folder is backed by memory, not by a disk."""
        return self.file_system(folder) in _IN_MEMORY

    def ceiling(self, controller: str, *names: str) -> int | None:
        """The least of the limits that this process' control groups set; None if there is none.

        `names` are what the file is called in version 2 and in version 1.
        """
        limits = []
        for group in self._groups(controller):
            for path in (group / name for name in names if (group / name).exists()):
                text = path.read_text().strip()
                if text != "max" and int(text) < _NO_LIMIT:
                    limits.append(int(text))
        return min(limits, default=None)

    def cpu_quota(self) -> float | None:
        """The least of the CPU quotas of this process' control groups; None if there is none."""
        quotas = map(cpu_quota.quota, self._groups("cpu"))
        return min((quota for quota in quotas if quota), default=None)

    def _groups(self, controller: str) -> Iterator[Path]:
        """The folders of this process' control group and of those above it, up to the mount's."""
        for line in self.text("proc/self/cgroup").splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            mount = self.root / _CGROUPS / (controller if controllers else "")
            own = mount / group.lstrip("/")
            # A container may see a group's name that only the world outside has: the mount is it.
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount))


def worker_count(settings: Settings) -> int:
    """The workers that a server would start."""
    return settings.workers or cpu_quota.available()


def workers(machine: Machine, wanted: int, cores: int | None = None) -> Iterator[Finding]:
    """One for each CPU: more only take turns, and a quota stops them all at once."""
    cores = cores or len(os.sched_getaffinity(0))
    quota = machine.cpu_quota()
    given = min(cores, quota or cores)
    shown = f"{wanted} on {given:g} CPUs"
    if wanted > math.ceil(given):
        remedy = f"SCORING_WORKERS={math.ceil(given)}"
        yield warn("workers", f"{shown}: more than CPUs only take turns", remedy)
    elif wanted > given:
        state = f"{shown}: the quota of each period is used up early, then no worker runs"
        yield warn("workers", state, f"a quota of {wanted} whole CPUs")
    else:
        yield ok("workers", shown)


def memory(machine: Machine, workers: int, loaded: int | None) -> Iterator[Finding]:
    """`loaded` is what a process held after loading this model, in bytes, if it is known."""
    is_limited = machine.ceiling("memory", "memory.max", "memory.limit_in_bytes") is not None
    room = machine.room()
    serving = (loaded or _LOADED) + _SERVER + workers * _WORKER
    reloading = serving + workers * _WORKER
    shown = f"{room // _MIB:,} MiB {'allowed' if is_limited else 'available'}"
    needed = f"{workers} workers take {serving // _MIB:,}, a reload {reloading // _MIB:,}"
    remedy = "raise the limit, or lower SCORING_WORKERS"
    if room < serving:
        yield fail("memory", f"{shown}; {needed}", remedy)
    elif room < reloading:
        yield warn(
            "memory", f"{shown}; {needed}", f"{remedy}: a HUP may end in an out-of-memory kill"
        )
    else:
        yield ok("memory", f"{shown}; {needed}")


def open_files(hard: int) -> Iterator[Finding]:
    """Whether a worker may hold as many connections as gunicorn lets in.

    `hard` is the limit that the server takes at its start, whatever the soft one is.
    """
    needed = CONNECTIONS + OWN_FILES
    if hard in (resource.RLIM_INFINITY, -1) or hard >= needed:
        is_endless = hard in (resource.RLIM_INFINITY, -1)
        yield ok("open files", "without limit" if is_endless else f"{hard:,} for each worker")
        return
    room = max(0, hard - OWN_FILES)
    state = f"{hard:,} for each worker: it takes {room:,} connections, {CONNECTIONS:,} otherwise"
    result = fail if room * 10 < CONNECTIONS else warn
    remedy = f"ulimit -Hn {needed}; systemd: LimitNOFILE=, compose: ulimits"
    yield result("open files", state, remedy)


def processes(machine: Machine, workers: int) -> Iterator[Finding]:
    """Whether the control group allows a server and the second generation of a reload."""
    ceiling = machine.ceiling("pids", "pids.max")
    serving, reloading = 1 + workers * _TASKS, 1 + 2 * workers * _TASKS
    if ceiling is None or ceiling >= reloading:
        yield ok("processes", "no limit" if ceiling is None else f"{ceiling:,} are allowed")
        return
    state = f"{ceiling} are allowed, with their threads; {workers} workers take up to {reloading}"
    result = fail if ceiling < serving else warn
    yield result("processes", state, "raise pids.max: docker's --pids-limit, systemd's TasksMax")


def packages(lock: Path = LOCK) -> Iterator[Finding]:
    """Whether what is installed is what was tested: the worker leans on gunicorn's inside."""
    if not lock.exists():
        yield unknown("packages", f"there is no {lock.name} to compare with")
        return
    pinned = _PINNED.findall(lock.read_text("utf-8"))
    installed = {name: _installed(name) for name, _ in pinned}
    missing = [name for name, version in installed.items() if not version]
    other = [f"{n} {installed[n]}, tested {v}" for n, v in pinned if installed[n] not in ("", v)]
    if missing:
        yield fail("packages", f"not installed: {', '.join(missing)}", _INSTALL)
    elif other:
        yield warn("packages", "other versions than were tested: " + "; ".join(other), _INSTALL)
    else:
        yield ok("packages", f"{len(pinned)} are installed as locked")


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
