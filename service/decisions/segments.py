"""Segments of the spool: files to which a worker appends sealed entries, and the sink reads.

A frame is a mark, its length and checksum, the month, the salt, and the sealed entry. The mark lets
a reader go on behind damage. A worker holds a lock on the segment that it writes, so that the sink
can tell one whose worker has ended.
"""

import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from time import time_ns
from typing import Final, NamedTuple
from zlib import crc32

from service.decisions.sealing import MONTH_BYTES, SALT_BYTES

_MARK: Final = b"\xd5\x9a\xde\xc1"
_HEAD: Final = struct.Struct(">4sII")
_PREFIX: Final = MONTH_BYTES + SALT_BYTES
_LONGEST: Final = 1 << 20
_SUFFIX: Final = ".segment"


class Frame(NamedTuple):
    """A sealed entry, with what unseals it."""

    month: str
    salt: bytes
    sealed: bytes


class Piece(NamedTuple):
    """What was read of a segment: frames, the place behind them, and how many bytes were passed."""

    frames: list[Frame]
    end: int
    damaged: int


def framed(frame: Frame) -> bytes:
    """A frame as bytes."""
    content = b"".join((frame.month.encode(), frame.salt, frame.sealed))
    return _HEAD.pack(_MARK, len(content), crc32(content)) + content


class SegmentWriter:
    """The segment that a worker writes. Raises OSError where a file can't be written."""

    def __init__(self, folder: Path) -> None:
        for each in (folder.parent, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{time_ns():020}-{os.getpid()}{_SUFFIX}"
        # It gets its name when it is locked: one without a lock counts as closed.
        aside = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(aside, flags, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        aside.rename(path)
        self.size = 0

    def write(self, content: bytes) -> None:
        """Append whole frames, all or none of them. Raises OSError."""
        try:
            written = os.write(self._descriptor, content)
        except OSError:
            self._cut()
            raise
        if written < len(content):
            self._cut()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written

    def _cut(self) -> None:
        with suppress(OSError):  # the reader passes over what can't be removed
            os.ftruncate(self._descriptor, self.size)

    def sync(self) -> None:
        """Have what was written survive a power loss. Raises OSError."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """The end of the segment."""
        os.close(self._descriptor)


def segments(folder: Path) -> list[Path]:
    """The segments of a spool, oldest first."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def is_closed(path: Path) -> bool:
    """Whether no worker writes a segment any more."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def overwrite(path: Path, end: int) -> None:
    """Overwrite what was taken of a segment, which its worker may still write. Raises OSError."""
    with path.open("r+b") as file:
        file.write(bytes(end))
        file.flush()
        os.fsync(file.fileno())


def read(content: bytes, *, closed: bool) -> Piece:
    """The frames of a segment's bytes from some frame's beginning on.

    What is incomplete at the end of an open segment is still being written.
    """
    frames: list[Frame] = []
    at = damaged = 0
    while at < len(content):
        frame, end = _frame(content, at)
        if frame:
            frames.append(frame)
            at = end
            continue
        following = _next_frame(content, at + 1)
        if following is None:
            if closed:
                damaged += len(content) - at
                at = len(content)
            break
        damaged += following - at
        at = following
    return Piece(frames, at, damaged)


def _frame(content: bytes, at: int) -> tuple[Frame | None, int]:
    """The whole frame at a place, None if there is none, and the place behind it."""
    if len(content) - at < _HEAD.size:
        return None, at
    mark, length, checksum = _HEAD.unpack_from(content, at)
    begin = at + _HEAD.size
    held = content[begin : begin + length]
    if mark != _MARK or not _PREFIX < length <= _LONGEST or len(held) < length:
        return None, at
    if crc32(held) != checksum:
        return None, at
    month, salt = held[:MONTH_BYTES].decode("ascii", "replace"), held[MONTH_BYTES:_PREFIX]
    return Frame(month, salt, held[_PREFIX:]), begin + length


def _next_frame(content: bytes, at: int) -> int | None:
    """The place of the next whole frame."""
    while (at := content.find(_MARK, at)) >= 0:
        if _frame(content, at)[0]:
            return at
        at += 1
    return None
