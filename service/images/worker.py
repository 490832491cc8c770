"""The picture process: a thread for each picture that is in work, and one for each model."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import msgspec

from model import InvalidRequest, ModelRefused, NoDecoder, catalog
from model.pictures.decoder import decoded
from model.pictures.png import as_png
from service.config.settings import Settings
from service.images.batches import Batches
from service.images.live import Live
from service.images.messages import (
    LONGEST,
    Answer,
    BadPicture,
    NotScored,
    Said,
    Task,
    encode,
    read_task,
)
from service.telemetry.failures import log_failure

# Pictures in work: more wait in the socket.
_THREADS: Final = 16
# The shorter side of a picture that is kept, at least.
_KEPT_SIDE: Final = 512

if TYPE_CHECKING:
    from multiprocessing.connection import Connection, Listener

log = logging.getLogger("scoring")


class Scorers:
    """Scores pictures by the models of the catalog that need the extra `images`."""

    def __init__(self, settings: Settings) -> None:
        entries = [one for one in catalog.entries().values() if one.extra == "images"]
        self._decoders = {one.name: one.load().decoder(1) for one in entries}
        self._batches = {one.name: Batches(Live(one, settings)) for one in entries}

    def said(self, task: Task) -> Said:
        """What becomes of a task."""
        try:
            return self._answer(task)
        except InvalidRequest as fault:
            return BadPicture(fault.field, fault.reason, fault.kind)
        except NoDecoder as reason:
            return NotScored(busy=True, reason=str(reason))
        except ModelRefused as reason:
            log.error("A picture could not be scored by %s: %s", task.model, reason)  # noqa: TRY400
            return NotScored(busy=False, reason=f"{task.model} can't be loaded")
        except Exception as error:  # noqa: BLE001 - the next picture may be another
            log_failure("a picture", error)
            return NotScored(busy=False, reason="an internal error")

    def _answer(self, task: Task) -> Answer:
        """The score. The picture goes the way of a request over HTTP."""
        body = {"image": task.picture, **({"query": task.query} if task.query else {})}
        request = self._decoders[task.model](msgspec.json.encode(body))
        scored = self._batches[task.model].score(request)
        png = as_png(decoded(task.picture, _KEPT_SIDE)) if task.keep else b""
        return Answer(msgspec.to_builtins(scored.score), scored.version, png)


def serve(listener: "Listener", scorers: Scorers) -> None:
    """Answer tasks, until the process ends."""
    with ThreadPoolExecutor(_THREADS, "picture") as threads:
        log.info("Pictures can be scored")
        while True:
            connection = listener.accept()
            threads.submit(_answer, connection, scorers)


def _answer(connection: "Connection", scorers: Scorers) -> None:
    with connection:
        try:
            task = read_task(connection.recv_bytes(LONGEST))
            connection.send_bytes(encode(scorers.said(task)))
        except (OSError, EOFError):  # the client has gone
            return
