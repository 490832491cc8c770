"""What web processes and the picture process say to each other, in MessagePack."""

import os
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

# The name of the socket, in a folder that only this user can enter.
_SOCKET: Final = "pictures"
# The longest message: a picture and a little more.
LONGEST: Final = 9 << 20
_BACKLOG: Final = 128


class Task(Struct, frozen=True):
    """A picture file to score by a model; with `keep` it comes back as a PNG file to be stored.

    `sent` is when it was handed over, by the clock `monotonic`, which processes share.
    """

    model: str
    picture: bytes
    query: str = ""
    keep: bool = False
    sent: float = 0.0


class Answer(Struct, frozen=True, tag=True):
    """A score as JSON has it, the version that made it, and the picture if it was to be kept."""

    score: dict[str, Any]
    version: str
    png: bytes = b""


class BadPicture(Struct, frozen=True, tag=True):
    """Why a picture can't be scored: an InvalidRequest."""

    field: str
    reason: str
    kind: str


class NotScored(Struct, frozen=True, tag=True):
    """It was not scored though it may be good; `busy` if a later attempt may succeed."""

    busy: bool
    reason: str = ""


Said: TypeAlias = Answer | BadPicture | NotScored

encode: Final = msgspec.msgpack.Encoder().encode
read_task: Final = msgspec.msgpack.Decoder(Task).decode
read_said: Final = msgspec.msgpack.Decoder(Said).decode


def socket_of(folder: int) -> str:
    """The address of the socket in an open folder: its own path may be too long for an address."""
    return f"/proc/self/fd/{folder}/{_SOCKET}"


def listener(folder: Path) -> Listener:
    """The socket, in place of one that a process has left which was killed."""
    (folder / _SOCKET).unlink(missing_ok=True)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return Listener(socket_of(opened), "AF_UNIX", backlog=_BACKLOG)
