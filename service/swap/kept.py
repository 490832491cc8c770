"""A copy of what this host serves, for workers that start when the registry is out of reach."""

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MODEL: Final = "model.cbm"
MANIFEST: Final = "manifest.json"
_PREFIX: Final = "serving-"
_PART: Final = "copying"
_LOCK: Final = "copying.lock"
# The folder is in memory, and the workers' metrics must find room there.
_SHARE: Final = 4

log = logging.getLogger("gunicorn.error")


class Kept:
    """In the server's own folder, which goes with it.

    All workers of a host keep what they have changed over to, at the same moment: one at a time
    writes. Whoever reads takes no lock, since a copy appears and goes as a whole.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part = folder / _PART

    def keep(self, version: str, source: Path) -> None:
        """Copy a version's two files and forget the others. What can't be copied is logged."""
        try:
            with self._alone():
                self._clear()  # what is there is of a worker that died while it copied
                try:
                    self._keep(self._place(version), source)
                finally:
                    self._clear()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            log.warning("No copy of %s, a new worker needs the registry: %s", version, reason)

    def model(self, version: str) -> Path | None:
        """The copy of a version's model, beside its manifest; None if there is none."""
        path = self._place(version) / MODEL
        return path if path.exists() else None

    def _place(self, version: str) -> Path:
        return self._folder / f"{_PREFIX}{version}"

    def _keep(self, place: Path, source: Path) -> None:
        if not place.exists():
            self._copy(source)
            self._part.rename(place)
        for other in self._folder.glob(f"{_PREFIX}*"):
            if other != place:
                other.rename(self._part)
                self._clear()

    def _copy(self, source: Path) -> None:
        size = sum((source / name).stat().st_size for name in (MODEL, MANIFEST))
        if size * _SHARE > shutil.disk_usage(self._folder).free:
            raise OSError(0, f"it takes more than a part in {_SHARE} of the room in {self._folder}")
        self._part.mkdir()
        for name in (MODEL, MANIFEST):
            shutil.copyfile(source / name, self._part / name)

    def _clear(self) -> None:
        if self._part.exists():
            shutil.rmtree(self._part)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Within, no other worker copies; the kernel frees a dead one's lock."""
        with (self._folder / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
