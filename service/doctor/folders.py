"""The folders that a server needs: shared memory for heartbeats and metrics, a temporary one."""

import os
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from service.doctor.finding import Finding, fail, ok, warn
from service.doctor.machine import Machine
from service.process import run_folder

_LOCKLESS_SECONDS: Final = 3600
_MIB: Final = 1 << 20


def chosen(workers: int) -> Path | None:
    """The folder that a server would keep heartbeats and metrics in, if any has room for them."""
    places = run_folder.places()
    roomy = (place for place in places if run_folder.has_room(place, workers))
    return next(roomy, places[0] if places else None)


def work_folder(machine: Machine, workers: int, folder: Path | None) -> Iterator[Finding]:
    """Whether heartbeats and metrics are in memory, and fit there."""
    if folder is None:
        yield fail("work folder", "none can be written to", "mount a tmpfs at /dev/shm")
        return
    needed = run_folder.needed(workers)
    free = run_folder.free(folder)
    files, needed_files = run_folder.free_files(folder), run_folder.needed_files(workers)
    if files < needed_files:
        found = f"{folder} has {files} free inodes, {workers} workers need {needed_files}"
        yield fail(
            "work folder", found, "the server will not start: mount it with more, nr_inodes="
        )
    elif free < needed:
        found = (
            f"{folder} has {free / _MIB:.1f} MiB free, {workers} workers need {needed / _MIB:.1f}"
        )
        mend = "the server will not start: give it more, as docker's --shm-size does"
        yield fail("work folder", found, mend)
    elif not machine.is_in_memory(folder):
        found = f"{folder} is on {machine.file_system(folder)}: a stalled disk kills workers"
        yield warn("work folder", found, "mount a tmpfs at /dev/shm that this user may write to")
    else:
        yield ok("work folder", f"{folder} is in memory, {free / _MIB:,.0f} MiB free")


def left_over_metrics(parent: Path | None) -> Iterator[Finding]:
    """What killed servers left, and whether the next start removes it."""
    if parent is None:
        return
    swept = list(run_folder.left_over(parent))
    stuck = [folder for folder in _own(parent) if _is_lockless(folder)]
    if stuck:
        found = f"{len(stuck)} folders of metrics that no start removes"
        yield warn("left-over metrics", found, f"rm -r {' '.join(map(str, stuck))}")
    elif swept:
        yield ok(
            "left-over metrics", f"{len(swept)} of killed servers: the next start removes them"
        )
    else:
        yield ok("left-over metrics", "none")


def temporary_folder(folder: Path | None, model: Path, named: Collection[str]) -> Iterator[Finding]:
    """Whether the model can be copied to a folder; some are `named` in variables."""
    if folder is None:
        found = "none can be written to: the model can't be loaded"
        yield fail("temporary folder", found, "mount a tmpfs at /tmp, or set TMPDIR")
        return
    needed, free = model.stat().st_size, shutil.disk_usage(folder).free
    if free < needed:
        found = f"{folder} has {free:,} bytes free, the model needs {needed:,}"
        yield fail("temporary folder", found, "make room there, or set TMPDIR")
    elif folder == Path.cwd() and str(folder) not in named:
        found = "it is the working folder: none of the usual ones can be written to"
        yield warn("temporary folder", found, "mount a tmpfs at /tmp, or set TMPDIR")
    else:
        yield ok("temporary folder", f"{folder} can be written to")


def _own(parent: Path) -> list[Path]:
    found = parent.glob(f"{run_folder.PREFIX}*")
    return [folder for folder in found if folder.stat().st_uid == os.geteuid()]


def _is_lockless(folder: Path) -> bool:
    """Whether its server died before it could lock it; a young one may just be starting."""
    old = time.time() - folder.stat().st_mtime > _LOCKLESS_SECONDS
    return old and not (folder / run_folder.LOCK).exists()
