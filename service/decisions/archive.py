"""The sealed entries of the log, in files that are only appended to."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_FILE_BYTES: Final = 256 << 20


class Place(NamedTuple):
    """Where a sealed entry is: the number of its file, and its bytes within."""

    file: int
    offset: int
    length: int


class Archive:
    """Files of sealed entries in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, entries: Sequence[bytes], file: int, offset: int) -> list[Place]:
        """Write entries from a place on, the end of those that count. Raises OSError.

        What is behind that place belongs to a batch that was never committed.
        """
        if offset > _FILE_BYTES:
            file, offset = file + 1, 0
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path(file), flags, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.truncate(offset)
            target.seek(offset)
            target.write(b"".join(entries))
            target.flush()
            os.fsync(target.fileno())
        places = []
        for entry in entries:
            places.append(Place(file, offset, len(entry)))
            offset += len(entry)
        return places

    def read(self, place: Place) -> bytes:
        """A sealed entry, or what is left of it. Raises OSError."""
        with self._path(place.file).open("rb") as file:
            file.seek(place.offset)
            return file.read(place.length)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.sealed"
