"""What the processes of one server share: settings, run folder and scoreboard.

The master creates it before the first fork, and a reload keeps it: a reload replaces workers, not
the app, so new settings would be half in force, and a bad value would end a running server.
gunicorn knows its configuration file, the app and the worker class by their names only: `runtime`
is the one place from which all three get the same object.
May import: stdlib, `service.config`. Never: the rest of `service`.
"""

from functools import cache
from typing import Final, NamedTuple

from service.config.settings import Settings, load
from service.runtime import cpu_quota
from service.runtime.run_folder import RunFolder
from service.runtime.scoreboard import PLACES, Scoreboard


class Runtime(NamedTuple):
    """Created once in each server."""

    settings: Settings
    run_folder: RunFolder
    scoreboard: Scoreboard


# Those of `use`, if it was called.
_used: Final[list[Settings]] = []


def use(settings: Settings) -> None:
    """Let the first call of `runtime` take these settings, in place of those that `load` reads."""
    _used.append(settings)


@cache
def runtime() -> Runtime:
    """The one of this server. The first call creates it, and raises SettingsError."""
    settings = _used[-1] if _used else load()
    workers = settings.workers or cpu_quota.available()
    return Runtime(settings, RunFolder(workers), Scoreboard(PLACES))
