"""What web processes and picture processes say to each other, in MessagePack."""

import os
import socket
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

# The name of the socket, in a folder that only this user can enter.
_SOCKET: Final = "pictures"
# The longest message: a picture and a little more.
LONGEST: Final = 9 << 20
# Pictures that may wait for a picture process; callers of more are turned away.
WAITING: Final = 128


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


def listen(folder: Path) -> socket.socket:
    """The socket, for all picture processes: what waits in it waits for any of them."""
    (folder / _SOCKET).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listening.bind(socket_of(opened))
    finally:
        os.close(opened)
    listening.listen(WAITING)
    return listening
