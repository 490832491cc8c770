"""The settings that decisions depend on, as they were in force last: their changes are entries."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

from service.config import files
from service.config.settings import Settings, variable

FILE: Final = "in-force.json"
_NAMES: Final = (
    "decisions",
    "decisions_audit",
    "guards",
    "positive_class",
    "thresholds",
    "unseen",
)


class Change(NamedTuple):
    """A setting, by its variable, that has another value than before."""

    setting: str
    before: str
    after: str


def settings_in_force(settings: Settings) -> dict[str, str]:
    """The settings that decisions depend on, by their variables."""
    named: dict[str, Any] = {name: getattr(settings, name) for name in _NAMES}
    costs = {f"cost_{name}": cost for name, cost in settings.costs.items()}
    return {variable(name): str(value) for name, value in sorted((named | costs).items())}


def changes(folder: Path, now: dict[str, str]) -> list[Change]:
    """What differs from what the folder says was in force, which is put right.

    Several workers start at once: the first one finds the changes. Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / FILE
    descriptor = os.open(folder / f".{FILE}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        before = _read(path)
        if before != now:
            files.write(path, json.dumps(now, indent=1), 0o600)
    finally:
        os.close(descriptor)
    if before is None:
        return []
    names = sorted(before.keys() | now.keys())
    return [
        Change(name, before.get(name, ""), now.get(name, ""))
        for name in names
        if before.get(name) != now.get(name)
    ]


def _read(path: Path) -> dict[str, str] | None:
    """What was in force, None if that is not known."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None
