"""A copy of what this host serves, for workers that start when the registry is out of reach."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

MODEL: Final = "model.cbm"
MANIFEST: Final = "manifest.json"
_PREFIX: Final = "serving-"
# The folder is in memory, and the workers' metrics must find room there.
_SHARE: Final = 4

log = logging.getLogger("gunicorn.error")


class Kept:
    """In the server's own folder, which goes with it. Writing twice does no harm."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, version: str, source: Path) -> None:
        """Copy a version's two files and forget the others; what has no room is not copied."""
        place = self._folder / f"{_PREFIX}{version}"
        if not place.exists():
            self._copy(source, place)
        for other in self._folder.glob(f"{_PREFIX}*"):
            if other != place:
                shutil.rmtree(other, ignore_errors=True)

    def model(self, version: str) -> Path | None:
        """The copy of a version's model, beside its manifest; None if there is none."""
        path = self._folder / f"{_PREFIX}{version}" / MODEL
        return path if path.exists() else None

    def _copy(self, source: Path, place: Path) -> None:
        size = sum((source / name).stat().st_size for name in (MODEL, MANIFEST))
        if size * _SHARE > shutil.disk_usage(self._folder).free:
            log.warning("No room for a copy of the live version: a new worker needs the registry")
            return
        part = Path(f"{place}.{id(self)}.part")
        with suppress(FileExistsError):
            part.mkdir()
        for name in (MODEL, MANIFEST):
            shutil.copyfile(source / name, part / name)
        with suppress(OSError):  # another worker was quicker
            part.rename(place)
