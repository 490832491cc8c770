"""Who else on this machine may read the secrets, or change what is served."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from service.config.settings import Settings
from service.doctor.finding import Finding, fail, ok, warn
from service.doctor.machine import Machine

PROJECT: Final = Path(__file__).parents[2]
# Where monitoring/prometheus/prometheus.yml expects it.
TOKEN_FILE: Final = PROJECT / "monitoring" / "prometheus" / "metrics_token"


def rights(machine: Machine, settings: Settings, dotenv: Path) -> Iterator[Finding]:
    """The rights of each file that matters and is there."""
    found = {".env": dotenv, "metrics token file": TOKEN_FILE}
    if settings.api_keys_file:
        found["keys file"] = Path(settings.api_keys_file)
    if settings.metrics_token_file:
        found["token file"] = Path(settings.metrics_token_file)
    for name, path in found.items():
        if path.exists():
            yield secret(name, path, machine)


def model_file(path: Path) -> Iterator[Finding]:
    """Whether anybody else may put another model in its place."""
    if others_may(path) & stat.S_IWOTH:
        yield fail("model file", f"every user may change {path}", f"chmod 644 {path}")
    else:
        yield ok("model file", "no other user may change it")


def dotenv_place(dotenv: Path, project: Path = PROJECT) -> Iterator[Finding]:
    """Whether the `.env` that is meant is the one that is read."""
    meant = project / ".env"
    if not dotenv.exists() and meant.exists():
        found = f"{meant} is not read: the working folder is {Path.cwd()}"
        yield warn(".env is read", found, f"start the server in {project}, or set the variables")
    else:
        yield ok(".env is read", f"{'from' if dotenv.exists() else 'none in'} {Path.cwd()}")


def token_agrees(settings: Settings, path: Path = TOKEN_FILE) -> Iterator[Finding]:
    """Whether Prometheus is given the token that the service asks for."""
    if not path.exists() or not settings.metrics_token:
        return
    if path.read_text("utf-8").strip() == settings.metrics_token:
        yield ok("Prometheus token", "its file and SCORING_METRICS_TOKEN agree")
    else:
        found = f"{path} and SCORING_METRICS_TOKEN differ: scrapes get a 401"
        yield fail("Prometheus token", found, "write the same token into both")


def user(uid: int | None = None) -> Iterator[Finding]:
    """As whom this runs: root may do all that the service's own user may not."""
    uid = os.geteuid() if uid is None else uid
    if uid:
        yield ok("user", f"user {uid}")
    else:
        found = "root: a fault in the server would hand over the machine, and no right stops root"
        yield warn("user", found, "serve as a user of its own, and run this as that user")


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
        return ok(name, f"{mode} belongs to somebody outside of this container")
    if given:
        tell = warn if machine.in_container else fail
        return tell(name, f"every user may read {mode}", f"chmod 600 {path}, or 640 for a group")
    return ok(name, f"{mode} is kept from other users")
