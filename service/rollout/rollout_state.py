"""The state of a rollout, shared by the workers of a host in memory that the master made.

Each worker writes its own status. The order has many writers, one at a time by a lock that the
kernel frees when its holder dies. Readers take no lock: a record that is half written fails its
checksum and is read again.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from typing import Final, Self, TypeVar
from zlib import crc32

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from model import catalog
from service.runtime.scoreboard import PLACES

T = TypeVar("T")

NAME: Final = "scoring-swap"
# Enough for a status whatever letters its reason has: six bytes each at most, and four versions.
_RECORD_BYTES: Final = 4096
# The order, and a status for each place.
BYTES: Final = (1 + PLACES) * _RECORD_BYTES
_HEAD: Final = struct.Struct("II")  # length, checksum
_LONGEST_REASON: Final = 300
_READS: Final = 100


class Target(Struct, frozen=True):
    """A version that is to be live, and the generation of the aliases that say so."""

    version: str
    generation: int


class Order(Struct, frozen=True):
    """The version that all workers serve from a time of the monotonic clock on.

    `former` is the version served before; of a change within one version, the one before that; of
    a start, the alias `previous`.
    """

    target: Target
    at: float
    former: str = ""


class Phase(StrEnum):
    """What a worker is doing about the live version of the registry."""

    SERVING = "serving"
    LOADING = "loading"
    READY = "ready"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class WorkerStatus(Struct, frozen=True):
    """One worker's part in a rollout. Its methods are the transitions; each returns a new status.

    `ready` is the version that it can change to, `refused` the one that it can't, for the `reason`.
    `since` is when it began to serve its version, by the monotonic clock that all processes share.

    | transition             | from        | to                                              |
    |------------------------|-------------|-------------------------------------------------|
    | `loading`              | any         | LOADING                                         |
    | `loaded`               | any         | READY                                           |
    | `refusing`             | any         | REFUSED                                         |
    | `unreachable`          | any         | UNREACHABLE                                     |
    | `reachable`            | UNREACHABLE | what it was: READY, REFUSED or SERVING          |
    | `changed_to`, `settled`| any         | SERVING, all about other versions is forgotten  |
    """

    worker: int
    pid: int
    state: Phase
    serving: Target
    since: float
    ready: Target | None = None
    refused: Target | None = None
    reason: str = ""
    shadow: str = ""

    def loading(self) -> Self:
        """A version is being loaded."""
        return replace(self, state=Phase.LOADING, ready=None)

    def loaded(self, target: Target) -> Self:
        """A version is loaded, and can be served from now on."""
        return replace(self, state=Phase.READY, ready=target, refused=None, reason="")

    def refusing(self, target: Target, reason: str) -> Self:
        """A version can't be served."""
        return replace(self, state=Phase.REFUSED, ready=None, refused=target, reason=reason)

    def unreachable(self, reason: str) -> Self:
        """The registry can't be read, or a version not be fetched."""
        return replace(self, state=Phase.UNREACHABLE, reason=reason)

    def reachable(self) -> Self:
        """The registry can be read again."""
        if self.state != Phase.UNREACHABLE:
            return self
        phase = Phase.READY if self.ready else Phase.REFUSED if self.refused else Phase.SERVING
        return replace(self, state=phase, reason="")

    def settled(self) -> Self:
        """The registry names the version that is served."""
        return self.changed_to(self.serving, self.since)

    def changed_to(self, target: Target, since: float) -> Self:
        """A version is served."""
        return replace(
            self, state=Phase.SERVING, serving=target, since=since, ready=None, refused=None,
            reason="",
        )  # fmt: skip


class RolloutState:
    """One order, and a status for each place on the workers' scoreboard."""

    def __init__(self, file: int) -> None:
        """`file` describes one in memory; not a bare map, since only files have locks."""
        os.ftruncate(file, BYTES)
        self._file = file
        self._memory = mmap.mmap(file, BYTES)

    @property
    def order(self) -> Order | None:
        """The order in force; None before the first."""
        return self._read(0, Order)

    def set_order(self, order: Order, instead_of: Order | None) -> None:
        """Write an order, unless another has been written since `instead_of` was read.

        A worker that read the aliases long ago would send all back to a version that was replaced.
        """
        with self._alone():
            if self.order == instead_of:
                self._write(0, msgspec.json.encode(order))

    def set_status(self, place: int, status: WorkerStatus) -> None:
        """Write the status of the worker at a place."""
        reason = " ".join(status.reason.split())[:_LONGEST_REASON]
        short = replace(status, reason=reason)
        self._write(1 + place, msgspec.json.encode(short))

    def status(self, place: int) -> WorkerStatus | None:
        """The status at a place; None if there is none."""
        return self._read(1 + place, WorkerStatus)

    def clear_status(self, place: int) -> None:
        """Remove a dead worker's status, half written or not."""
        self._write(1 + place, b"")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _write(self, index: int, text: bytes) -> None:
        at = index * _RECORD_BYTES
        data = _HEAD.pack(len(text), crc32(text)) + text
        if len(data) > _RECORD_BYTES:
            raise ValueError("a status is too long")  # it would end in another worker's
        self._memory[at : at + len(data)] = data

    def _read(self, index: int, kind: type[T]) -> T | None:
        for _ in range(_READS):
            record = self._memory[index * _RECORD_BYTES : (index + 1) * _RECORD_BYTES]
            length, checksum = _HEAD.unpack_from(record)
            text = record[_HEAD.size : _HEAD.size + length]
            if crc32(text) == checksum:
                return msgspec.json.decode(text, type=kind) if text else None
        return None  # its writer died while it wrote: the next write replaces it


@cache
def rollout_state(model: str = catalog.DEFAULT) -> RolloutState:
    """A model's rollout state in this server; a reload of the configuration keeps it."""
    return RolloutState(os.memfd_create(NAME if model == catalog.DEFAULT else f"{NAME}-{model}"))
