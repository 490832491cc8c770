"""The web processes' side: hands a picture over and waits for its score."""

import os
import socket
import struct
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from threading import BoundedSemaphore
from time import monotonic
from typing import Final

from msgspec.structs import replace

from model import InvalidRequest, NoDecoder
from service.images.messages import (
    LONGEST,
    Answer,
    BadPicture,
    NotScored,
    Said,
    Task,
    encode,
    read_said,
    socket_of,
)
from service.telemetry.metrics.pictures import PictureMetrics
from service.telemetry.metrics.uncounted import uncounted

# Longer than a picture may take to decode, and than a model takes to load.
_PATIENCE_SECONDS: Final = 30
_TIMEVAL: Final = struct.pack("ll", _PATIENCE_SECONDS, 0)
# Long enough for many small pictures that come at the same time.
_PLACE_SECONDS: Final = 1.0
_PACKAGES: Final = ("onnxruntime", "PIL")


class PicturesUnavailable(Exception):
    """The picture process does not answer."""


class PicturesBusy(Exception):
    """As many pictures are in work for this process as may be."""


class PicturesFailed(Exception):
    """The picture process could not score; its log says why."""


def is_installed() -> bool:
    """Whether the packages that score pictures are installed. Imports none of them."""
    return all(find_spec(name) is not None for name in _PACKAGES)


class Pictures:
    """Scores pictures by the picture processes of this server, for all threads."""

    def __init__(self, folder: Path, metrics: PictureMetrics | None = None, most: int = 12) -> None:
        """`folder` has the socket; at most so many pictures are in work at a time."""
        self._folder = folder
        self._places = BoundedSemaphore(most)
        self._metrics = metrics or uncounted(PictureMetrics)

    def score(self, task: Task) -> Answer:
        """The score of a picture.

        Raises InvalidRequest for a picture that can't be scored; NoDecoder, PicturesBusy,
        PicturesUnavailable or PicturesFailed where a good one was not.
        """
        said = self._counted(task)
        if isinstance(said, BadPicture):
            raise InvalidRequest(said.field, said.reason, said.kind)
        if isinstance(said, NotScored):
            raise NoDecoder(said.reason) if said.busy else PicturesFailed(said.reason)
        return said

    def _counted(self, task: Task) -> Said:
        began, outcome = monotonic(), "unavailable"
        self._metrics.asks()
        try:
            said = self._placed(encode(replace(task, sent=began)))
        except PicturesBusy:
            outcome = "busy"
            raise
        else:
            outcome = _outcome_of(said)
            return said
        finally:
            self._metrics.asked(task.model, outcome, monotonic() - began)

    def _placed(self, task: bytes) -> Said:
        """What is said of a task, once there is a place for it. Raises PicturesBusy.

        Each picture holds a thread of the process, which needs others for jobs and probes.
        """
        if not self._places.acquire(timeout=_PLACE_SECONDS):
            raise PicturesBusy
        try:
            return self._said(task)
        finally:
            self._places.release()

    def _said(self, task: bytes) -> Said:
        try:
            with self._connected() as connection:
                connection.send_bytes(task)
                if not connection.poll(_PATIENCE_SECONDS):
                    raise PicturesUnavailable
                said: Said = read_said(connection.recv_bytes(LONGEST))
                return said
        except BlockingIOError:
            raise PicturesBusy from None
        except (OSError, EOFError):  # a process that dies closes the connections that it has
            raise PicturesUnavailable from None

    def _connected(self) -> Connection:
        """A connection to one of the processes. Raises BlockingIOError if too many wait."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        link = socket.socket(socket.AF_UNIX)
        try:
            link.setblocking(False)  # noqa: FBT003
            link.connect(socket_of(folder))
            link.setblocking(True)  # noqa: FBT003
            # Without a process that takes it, a large picture would wait for ever to be sent.
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL)
        except OSError:
            link.close()
            raise
        finally:
            os.close(folder)
        return Connection(link.detach())


def _outcome_of(said: Said) -> str:
    if isinstance(said, BadPicture):
        return "refused"
    if isinstance(said, NotScored):
        return "busy" if said.busy else "failed"
    return "scored"
