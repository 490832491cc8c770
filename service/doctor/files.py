"""Files and folders: who else may read the secrets or change the model, and where there is room."""

import os
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from service.config.settings import Settings
from service.doctor.finding import Finding, fail, ok, warn
from service.doctor.machine import Machine
from service.runtime import run_folder

PROJECT: Final = Path(__file__).parents[2]
# Where monitoring/prometheus/prometheus.yml expects it.
TOKEN_FILE: Final = PROJECT / "monitoring" / "prometheus" / "metrics_token"
_MIB: Final = 1 << 20
# Above this share the oldest files go soon: what stays is the latest time, not a sample of a month.
_LARGE_SHARE: Final = 0.5


def rights(machine: Machine, settings: Settings, dotenv: Path) -> Iterator[Finding]:
    """The rights of each file that matters and is there."""
    paths = {".env": dotenv, "metrics token file": TOKEN_FILE}
    if settings.api_keys_file:
        paths["keys file"] = Path(settings.api_keys_file)
    if settings.metrics_token_file:
        paths["token file"] = Path(settings.metrics_token_file)
    if settings.webhooks_file:
        paths["webhooks file"] = Path(settings.webhooks_file)
    for name, path in paths.items():
        if path.exists():
            yield secret(name, path, machine)


def model_file(path: Path, subject: str = "model file") -> Iterator[Finding]:
    """Whether other users may replace the model."""
    if others_may(path) & stat.S_IWOTH:
        yield fail(subject, f"every user may change {path}", f"chmod 644 {path}")
    else:
        yield ok(subject, "no other user may change it")


def dotenv_place(dotenv: Path, project: Path = PROJECT) -> Iterator[Finding]:
    """Whether the `.env` that is meant is the one that is read."""
    meant = project / ".env"
    if not dotenv.exists() and meant.exists():
        state = f"{meant} is not read: the working folder is {Path.cwd()}"
        yield warn(".env is read", state, f"start the server in {project}, or set the variables")
    else:
        yield ok(".env is read", f"{'from' if dotenv.exists() else 'none in'} {Path.cwd()}")


def token_agrees(settings: Settings, path: Path = TOKEN_FILE) -> Iterator[Finding]:
    """Whether Prometheus is given the token that the service asks for."""
    if not path.exists() or not settings.metrics_token:
        return
    if path.read_text("utf-8").strip() == settings.metrics_token:
        yield ok("Prometheus token", "its file and SCORING_METRICS_TOKEN agree")
    else:
        state = f"{path} and SCORING_METRICS_TOKEN differ: scrapes get a 401"
        yield fail("Prometheus token", state, "write the same token into both")


def user(uid: int | None = None) -> Iterator[Finding]:
    """As whom this runs: root may do all that the service's own user may not."""
    uid = os.geteuid() if uid is None else uid
    if uid:
        yield ok("user", f"user {uid}")
    else:
        state = "root: a fault in the server would hand over the machine; no permission stops root"
        yield warn("user", state, "serve as a user of its own, and run this as that user")


def others_may(path: Path) -> int:
    """What users who are neither the owner nor of the group may do: 4 to read, 2 to write.

    Nothing, if a folder above keeps them out.
    """
    real = path.resolve()
    if not all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents):
        return 0
    return real.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH)


def secret(name: str, path: Path, machine: Machine, uid: int | None = None) -> Finding:
    """Whether users other than `uid`, who runs this, are kept out of a file."""
    status = path.stat()
    mode = f"{path} ({stat.S_IMODE(status.st_mode):04o})"
    given = others_may(path)
    if given & stat.S_IWOTH:
        return fail(name, f"every user may change {mode}", f"chmod 600 {path}")
    mounted = machine.in_container and status.st_uid != (os.geteuid() if uid is None else uid)
    if given and mounted:
        # Orchestrators give secrets so; in a container there are no other users.
        return ok(name, f"{mode} belongs to a user outside this container")
    if given:
        result = warn if machine.in_container else fail
        return result(name, f"every user may read {mode}", f"chmod 600 {path}, or 640 for a group")
    return ok(name, f"{mode} is kept from other users")


def chosen(workers: int) -> Path | None:
    """The folder that a server would keep heartbeats and metrics in, if any has room for them."""
    places = run_folder.candidates()
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
        state = f"{folder} has {files} free inodes, {workers} workers need {needed_files}"
        yield fail(
            "work folder", state, "the server will not start: mount it with more, nr_inodes="
        )
    elif free < needed:
        state = (
            f"{folder} has {free / _MIB:.1f} MiB free, {workers} workers need {needed / _MIB:.1f}"
        )
        remedy = "the server will not start: give it more, as docker's --shm-size does"
        yield fail("work folder", state, remedy)
    elif not machine.is_in_memory(folder):
        state = f"{folder} is on {machine.file_system(folder)}: a stalled disk kills workers"
        yield warn("work folder", state, "mount a tmpfs at /dev/shm that this user may write to")
    else:
        yield ok("work folder", f"{folder} is in memory, {free / _MIB:,.0f} MiB free")


def temporary_folder(folder: Path | None, model: Path, named: Collection[str]) -> Iterator[Finding]:
    """Whether the model can be copied to a folder; some are `named` in variables."""
    if folder is None:
        state = "none can be written to: the model can't be loaded"
        yield fail("temporary folder", state, "mount a tmpfs at /tmp, or set TMPDIR")
        return
    needed, free = model.stat().st_size, shutil.disk_usage(folder).free
    if free < needed:
        state = f"{folder} has {free:,} bytes free, the model needs {needed:,}"
        yield fail("temporary folder", state, "make room there, or set TMPDIR")
    elif folder == Path.cwd() and str(folder) not in named:
        state = "it is the working folder: none of the usual ones can be written to"
        yield warn("temporary folder", state, "mount a tmpfs at /tmp, or set TMPDIR")
    else:
        yield ok("temporary folder", f"{folder} can be written to")


def decisions(settings: Settings) -> Iterator[Finding]:
    """Whether decisions can be kept where they are to be: nothing if they are not to be kept."""
    if settings.decisions == "off" or not settings.decisions_dir:
        return
    folder = Path(settings.decisions_dir).absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free, needed = shutil.disk_usage(there).free, settings.decisions_spool_mb << 20
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        state = f"{there} can't be written to: no decision would be kept"
        yield fail("decisions", state, "name a folder of the service's user: SCORING_DECISIONS_DIR")
    elif there == folder and others_may(folder):
        state = f"other users may read {folder} or write to it, and it holds keys"
        yield fail("decisions", state, f"chmod 700 {folder}")
    elif free < needed:
        state = f"{folder} has {free / _MIB:,.0f} MiB free, the spool alone may take more"
        yield warn("decisions", state, "make room there, or set SCORING_DECISIONS_SPOOL_MB")
    else:
        yield ok("decisions", f"{folder} has {free / _MIB:,.0f} MiB free ({settings.decisions})")


def capture(settings: Settings) -> Iterator[Finding]:
    """Whether live rows can be written for training, where they are to be: nothing if not set."""
    if not (settings.capture and settings.capture_dir):
        return
    folder = Path(settings.capture_dir).absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        state = f"{there} can't be written to: all captured rows would be lost"
        yield fail("capture", state, "name a folder of the service's user: SCORING_CAPTURE_DIR")
        return
    if there == folder and others_may(folder):
        state = f"other users may read {folder} or write to it"
        yield fail("capture", state, f"chmod 700 {folder}")
        return
    held = sum(path.stat().st_size for path in folder.glob("captured-*.parquet"))
    free, needed = shutil.disk_usage(there).free, (settings.capture_mb << 20) - held
    room = f"{folder} has {free / _MIB:,.0f} MiB free"
    if free < needed:
        state = f"{room}, the files may take {needed / _MIB:,.0f} MiB more"
        yield warn("capture", state, "make room there, or set a smaller SCORING_CAPTURE_MB")
    elif settings.capture > _LARGE_SHARE:
        state = f"{settings.capture:g} of all rows are written: {settings.capture_mb} MiB fill soon"
        yield warn("capture", state, "a smaller SCORING_CAPTURE keeps a sample of a longer time")
    else:
        plates = "with" if settings.capture_plates == "yes" else "without"
        yield ok("capture", f"{room}; a share of {settings.capture:g} {plates} plates")
