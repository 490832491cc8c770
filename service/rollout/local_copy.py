"""A copy of the served version, for workers that start while the registry is unreachable."""

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MANIFEST: Final = "manifest.json"
_PREFIX: Final = "serving-"
_PART: Final = "copying"
_LOCK: Final = "copying.lock"
# The folder is in memory, and the workers' metrics must find room there.
_SHARE: Final = 4

log = logging.getLogger("scoring")


class LocalCopy:
    """A copy in the server's own folder, which is removed with the server.

    All workers of a host copy the new version at the same moment, so writers take a lock. Readers
    need none: a copy appears and disappears as a whole, by a rename.
    """

    def __init__(self, folder: Path, artifact: str, name: str) -> None:
        """Of the model of this name; `artifact` is the name of a version's file."""
        self._folder = folder
        self._artifact = artifact
        self._prefix = f"{_PREFIX}{name}:"  # no name of a version or model has this sign
        self._part = folder / _PART

    def keep(self, version: str, source: Path) -> None:
        """Copy a version's two files and remove other versions. Failures are logged, not raised."""
        try:
            with self._alone():
                self._clear()  # a worker may have died while it copied
                try:
                    self._keep(self._place(version), source)
                finally:
                    self._clear()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            log.warning("No copy of %s, a new worker needs the registry: %s", version, reason)

    def model(self, version: str) -> Path | None:
        """The copy of a version's model, beside its manifest; None if there is none."""
        path = self._place(version) / self._artifact
        return path if path.exists() else None

    def _place(self, version: str) -> Path:
        return self._folder / f"{self._prefix}{version}"

    def _keep(self, place: Path, source: Path) -> None:
        if not place.exists():
            self._copy(source)
            self._part.rename(place)
        for other in self._folder.glob(f"{self._prefix}*"):
            if other != place:
                other.rename(self._part)
                self._clear()

    def _copy(self, source: Path) -> None:
        size = sum((source / name).stat().st_size for name in (self._artifact, MANIFEST))
        if size * _SHARE > shutil.disk_usage(self._folder).free:
            raise OSError(0, f"it would take more than 1/{_SHARE} of the free space")
        self._part.mkdir()
        for name in (self._artifact, MANIFEST):
            shutil.copyfile(source / name, self._part / name)

    def _clear(self) -> None:
        if self._part.exists():
            shutil.rmtree(self._part)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock. The kernel releases it when its holder dies."""
        with (self._folder / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
