"""What the workers of a host tell each other in a swap, in memory that the master made.

One writer for each worker's note; the order has many, one at a time by a lock that the kernel
frees when its holder dies. Readers take no lock: a note that is half written fails its checksum
and is read again.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final, TypeVar
from zlib import crc32

import msgspec
from msgspec import Struct

from model import catalog
from service.process.scoreboard import PLACES

T = TypeVar("T")

NAME: Final = "scoring-swap"
# Enough for a note whatever letters its reason has: six bytes each at most, and four versions.
_NOTE_BYTES: Final = 4096
# The order, and a note for each place.
BYTES: Final = (1 + PLACES) * _NOTE_BYTES
_HEAD: Final = struct.Struct("II")  # length, checksum
_LONGEST_REASON: Final = 300
_READS: Final = 100


class Target(Struct, frozen=True):
    """A version that is to be live, and the generation of the aliases that say so."""

    version: str
    generation: int


class Order(Struct, frozen=True):
    """What all serve from a moment of the monotonic clock on; `former` is what they served before.

    Of a change within one version, the one before that; of a start, the alias `previous`.
    """

    target: Target
    at: float
    former: str = ""


class Note(Struct, frozen=True):
    """How one worker is: `state` is serving, loading, ready, refused or unreachable.

    `ready` is what it could change to, `refused` what it can't, for the `reason`. `since` is
    when it began to serve what it serves, by the monotonic clock that all processes share.
    """

    worker: int
    pid: int
    state: str
    serving: Target
    since: float
    ready: Target | None = None
    refused: Target | None = None
    reason: str = ""
    shadow: str = ""


class RolloutState:
    """One order, and a note for each place on the workers' scoreboard."""

    def __init__(self, file: int) -> None:
        """`file` describes one in memory; not a bare map, since only files have locks."""
        os.ftruncate(file, BYTES)
        self._file = file
        self._memory = mmap.mmap(file, BYTES)

    @property
    def order(self) -> Order | None:
        """What all are to serve; None until the first."""
        return self._read(0, Order)

    def give(self, order: Order, instead_of: Order | None) -> None:
        """Write an order, unless another has been written since `instead_of` was read.

        Who looked at the aliases long ago would send all back to a version that was replaced.
        """
        with self._alone():
            if self.order == instead_of:
                self._write(0, msgspec.json.encode(order))

    def put(self, place: int, note: Note) -> None:
        """Write the note of the worker at a place."""
        reason = " ".join(note.reason.split())[:_LONGEST_REASON]
        short = msgspec.structs.replace(note, reason=reason)
        self._write(1 + place, msgspec.json.encode(short))

    def note(self, place: int) -> Note | None:
        """The note at a place; None if there is none."""
        return self._read(1 + place, Note)

    def wipe(self, place: int) -> None:
        """Forget a dead worker's note, half written or not."""
        self._write(1 + place, b"")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _write(self, index: int, text: bytes) -> None:
        at = index * _NOTE_BYTES
        data = _HEAD.pack(len(text), crc32(text)) + text
        if len(data) > _NOTE_BYTES:
            raise ValueError("a note is too long")  # it would end in another worker's
        self._memory[at : at + len(data)] = data

    def _read(self, index: int, kind: type[T]) -> T | None:
        for _ in range(_READS):
            note = self._memory[index * _NOTE_BYTES : (index + 1) * _NOTE_BYTES]
            length, checksum = _HEAD.unpack_from(note)
            text = note[_HEAD.size : _HEAD.size + length]
            if crc32(text) == checksum:
                return msgspec.json.decode(text, type=kind) if text else None
        return None  # its writer died within it: the next writer mends it


@cache
def rollout_state(model: str = catalog.DEFAULT) -> RolloutState:
    """A model's of this server; a reload of its configuration keeps it."""
    return RolloutState(os.memfd_create(NAME if model == catalog.DEFAULT else f"{NAME}-{model}"))
