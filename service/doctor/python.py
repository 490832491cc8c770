"""Python and the packages that the service stands on."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from service.doctor.finding import Finding, fail, ok, unknown, warn

LOCK: Final = Path(__file__).parents[2] / "requirements.lock"
_LEAST: Final = (3, 11)
# Packages for every platform: those with a marker behind may rightly be missing.
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\$", re.MULTILINE)
_INSTALL: Final = "pip install --only-binary :all: --require-hashes -r requirements.lock"


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Iterator[Finding]:
    """The version of the interpreter."""
    found = f"{platform.python_implementation()} {'.'.join(map(str, version))}"
    if version[:2] < _LEAST:
        yield fail("Python", found, "use Python 3.11 or newer")
    else:
        yield ok("Python", found)


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
