"""Files to pixels, by a pool of processes that stay for the next picture.

A process takes a tenth of a second to start, and a picture some milliseconds. One that takes too
long is killed; one that a file crashes is replaced.
"""

import atexit
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from math import ceil
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, LifoQueue
from threading import Timer
from time import monotonic
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidRequest, NoDecoder
from model.pictures.extra import image_library
from model.pictures.formats import NAMES, other_format
from model.pictures.reply import HEAD, HOW, Outcome

Pixels = NDArray[np.uint8]

FIELD: Final = "image"
_PROCESS: Final = "model.pictures.process"
_ROOT: Final = Path(__file__).parents[2]


class Limits(NamedTuple):
    """What a file may take; of several frames only the first is decoded.

    `file_bytes` and `pixels` are checked before it is decoded, `seconds` are by the wall clock and
    of the CPU, and `memory` is in bytes.
    """

    file_bytes: int = 8 << 20
    pixels: int = 25_000_000
    seconds: float = 10.0
    memory: int = 640 << 20


LIMITS: Final = Limits()


class Decoder:
    """A pool of at most so many processes, for all threads. It must not be used before a fork."""

    def __init__(self, limits: Limits = LIMITS, processes: int = 2) -> None:
        self._limits = limits
        self._idle: LifoQueue[_Process | None] = LifoQueue()  # None: one may be started
        for _ in range(processes):
            self._idle.put(None)

    def decoded(self, blob: bytes, side: int = 0, *, keep_alpha: bool = False) -> Pixels:
        """The pixels of a file in rows, of shape (h, w, 3), red, green and blue of 0 to 255.

        The picture is turned by its EXIF orientation, and white where it is transparent; one that
        has transparent parts and may `keep_alpha` has the shape (h, w, 4). It is reduced, to save
        time, if its shorter side stays `side` at least; with 0 it keeps its size.
        Raises InvalidRequest, whose field is "image", for a file that is not a picture or exceeds a
        limit; NoDecoder if all processes are busy for too long or none can be started.
        """
        self._check(blob)
        with self._process() as process:
            reply = process.reply(
                HOW.pack(side, keep_alpha) + blob, self._limits.seconds, 4 * self._limits.pixels
            )
        if isinstance(reply, Outcome):
            raise self._fault(reply)
        return reply

    def warm(self) -> None:
        """Have a process ready. Raises NoDecoder."""
        with self._process() as process:
            process.reply(HOW.pack(0, 0), self._limits.seconds, 0)

    def close(self) -> None:
        """End the processes that are idle; the next call starts another."""
        idle = []
        with suppress(Empty):
            while True:
                idle.append(self._idle.get_nowait())
        for process in idle:
            if process:
                process.end()
            self._idle.put(None)

    def _check(self, blob: bytes) -> None:
        if not blob:
            raise InvalidRequest(FIELD, "is empty", "missing")
        if len(blob) > self._limits.file_bytes:
            reason = f"is longer than {self._limits.file_bytes} bytes"
            raise InvalidRequest(FIELD, reason, "length")
        if name := other_format(blob):
            raise InvalidRequest(FIELD, f"is {name}: send {NAMES}")

    def _fault(self, outcome: Outcome) -> InvalidRequest:
        match outcome:
            case Outcome.UNKNOWN:
                return InvalidRequest(FIELD, f"is not a picture that can be read: send {NAMES}")
            case Outcome.PIXELS:
                reason = f"has more than {self._limits.pixels} pixels"
                return InvalidRequest(FIELD, reason, "range")
            case Outcome.MEMORY:
                return InvalidRequest(FIELD, "takes too much memory to decode", "range")
            case Outcome.TIME:
                reason = f"takes longer than {self._limits.seconds:g} s to decode"
                return InvalidRequest(FIELD, reason, "range")
            case _:
                return InvalidRequest(FIELD, "is truncated or damaged")

    @contextmanager
    def _process(self) -> Iterator["_Process"]:
        """A process for one picture."""
        try:
            process = self._idle.get(timeout=self._limits.seconds)
        except Empty:
            raise NoDecoder("all processes that decode pictures are busy") from None
        try:
            if process is None or process.has_ended:
                process = None  # until there is another one
                process = _Process(self._limits)
            yield process
        finally:
            self._idle.put(process)


class _Process:
    """A running process and the connection to it."""

    def __init__(self, limits: Limits) -> None:
        """Raises NoDecoder if it can't be started, and ExtraMissing without Pillow."""
        image_library()
        cpu = ceil(limits.seconds) + 1
        self._connection, child_end = Pipe()
        try:
            with child_end:
                self._popen = _popen(child_end, limits.pixels, limits.memory, cpu)
        except OSError as error:
            self._connection.close()
            raise NoDecoder(f"no process to decode it: {error.strerror}") from error

    @property
    def has_ended(self) -> bool:
        """Whether it can't reply any more."""
        return self._popen.poll() is not None

    def reply(self, message: bytes, seconds: float, most: int) -> Pixels | Outcome:
        """The pixels of a message's file, of at most so many bytes, or why there are none."""
        latest = monotonic() + seconds
        limit = Timer(seconds, self._popen.kill)
        limit.start()
        try:
            self._connection.send_bytes(message)
            outcome, *shape = HEAD.unpack(self._connection.recv_bytes(HEAD.size))
            if outcome != Outcome.DECODED:
                return Outcome(outcome)
            decoded = self._connection.recv_bytes(most)
            return np.frombuffer(decoded, np.uint8).reshape(shape)
        except (EOFError, OSError, ValueError, struct.error):  # of the last two: a hostile reply
            self.end()
            return Outcome.TIME if monotonic() >= latest else Outcome.CRASHED
        finally:
            limit.cancel()

    def end(self) -> None:
        """End it, and wait until it has gone."""
        self._connection.close()
        self._popen.kill()
        self._popen.wait()


def _popen(child_end: Connection, *limits: int) -> "subprocess.Popen[bytes]":
    descriptor = child_end.fileno()
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", _PROCESS, *map(str, (descriptor, *limits))],
        pass_fds=(descriptor,),
        cwd=_ROOT,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},  # of ours it holds secrets
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@cache
def shared() -> Decoder:
    """The pool that all of this process share. It starts a process on first use."""
    decoder = Decoder()
    atexit.register(decoder.close)
    return decoder


def decoded(blob: bytes, side: int = 0, *, keep_alpha: bool = False) -> Pixels:
    """The pixels of a file, by the shared pool: see `Decoder.decoded`."""
    return shared().decoded(blob, side, keep_alpha=keep_alpha)
