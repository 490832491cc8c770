"""The sink: takes the segments of the spool into the log, each entry exactly once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from service.decisions.log import DecisionLog, Opened
from service.decisions.recorder import SPOOL
from service.decisions.sealing import Unreadable
from service.decisions.secrets import MissingKey
from service.decisions.segments import Frame, Piece, is_closed, overwrite, read, segments

# Some thousand entries: a batch of the log. No frame is longer.
_READ_BYTES: Final = 4 << 20


class Shipped(NamedTuple):
    """Entries that came into the log, and what nobody can read: bytes, and whole entries."""

    entries: int = 0
    damaged_bytes: int = 0
    unreadable: int = 0


class Sink:
    """Takes the segments of a spool into a log."""

    def __init__(self, log: DecisionLog) -> None:
        self._log = log
        self._spool = log.folder / SPOOL

    def ship(self) -> Iterator[Shipped]:
        """Take in what the spool has now, batch by batch.

        The log must be locked for each batch; between two, others may change it, or take in what
        comes next. Raises OSError, sqlite3.Error and DamagedTile.
        """
        for path in segments(self._spool):
            yield from self._segment(path)

    def overwrite(self) -> None:
        """Leave no salts in the spool of what is in the log. It must be locked. Raises OSError."""
        for path in segments(self._spool):
            overwrite(path, self._log.store.done(path.name))

    def _segment(self, path: Path) -> Iterator[Shipped]:
        while path.exists():
            # Asked first: what a worker wrote before it ended is read then.
            closed = is_closed(path)
            done = self._log.store.done(path.name)
            piece = _piece(_read(path, done), closed)
            if piece is None:
                if closed:
                    path.unlink()
                    self._log.store.drop_segment(path.name)
                return
            yield self._batch(path, piece, done)

    def _batch(self, path: Path, piece: Piece, done: int) -> Shipped:
        opened = list(self._opened(piece.frames))
        self._log.append(opened, path.name, done + piece.end)
        shipped = Shipped(len(opened), piece.damaged, len(piece.frames) - len(opened))
        if shipped.damaged_bytes or shipped.unreadable:
            self._log.note(
                "damage",
                segment=path.name,
                bytes=str(shipped.damaged_bytes),
                entries=str(shipped.unreadable),
            )
        return shipped

    def _opened(self, frames: list[Frame]) -> Iterator[Opened]:
        for frame in frames:
            try:
                yield self._log.opened(frame)
            except (Unreadable, MissingKey, ValueError):
                continue


def _read(path: Path, place: int) -> bytes:
    with path.open("rb") as file:
        file.seek(place)
        return file.read(_READ_BYTES)


def _piece(content: bytes, closed: bool) -> Piece | None:  # noqa: FBT001 - of the segment
    """What can be taken of a segment from some place on; None if that is nothing, for now."""
    is_all = len(content) < _READ_BYTES
    piece = read(content, closed=closed and is_all)
    if piece.end:
        return piece
    return None if is_all else Piece([], len(content), len(content))
