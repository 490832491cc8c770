"""A picture process: a thread for each picture that is in work, and one for each model."""

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from threading import BoundedSemaphore, Thread
from time import monotonic, perf_counter, sleep
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry

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
from service.telemetry.failures import contained, log_failure
from service.telemetry.metrics import multiprocess
from service.telemetry.metrics.pictures import PictureProcessMetrics

# Pictures in work: more wait in the socket.
_THREADS: Final = 16
# The shorter side of a picture that is kept, at least.
_KEPT_SIDE: Final = 512
_TICK_SECONDS: Final = 1.0

log = logging.getLogger("scoring")


class Scorers:
    """Scores pictures by the models of the catalog that need the extra `images`."""

    def __init__(self, settings: Settings, metrics: PictureProcessMetrics, worker: str) -> None:
        """`worker` is the name of this process in metrics."""
        self._metrics = metrics
        entries = [catalog.entry(name) for name in catalog.picture_models()]
        self._counted = {one.name: metrics.of(one.name) for one in entries}
        self._decoders = {one.name: one.load().decoder(1) for one in entries}
        lives = {one.name: Live(one, settings, metrics, worker) for one in entries}
        self._batches = {name: Batches(live, live.scored) for name, live in lives.items()}

    def said(self, task: Task) -> Said:
        """What becomes of a task."""
        self._metrics.waited(monotonic() - task.sent)
        try:
            return self._answer(task)
        except InvalidRequest as fault:
            self._counted[task.model].refused(fault)
            return BadPicture(fault.field, fault.reason, fault.kind)
        except NoDecoder as reason:
            return NotScored(busy=True, reason=str(reason))
        except ModelRefused as reason:
            self._counted[task.model].failed(1)
            log.error("A picture could not be scored by %s: %s", task.model, reason)  # noqa: TRY400
            return NotScored(busy=False, reason=f"{task.model} can't be loaded")
        except Exception as error:  # noqa: BLE001 - the next picture may be another
            if task.model in self._counted:
                self._counted[task.model].failed(1)
            log_failure("a picture", error)
            return NotScored(busy=False, reason="an internal error")

    def _answer(self, task: Task) -> Answer:
        """The score. The picture goes the way of a request over HTTP."""
        request = self._decoded(task)
        scored = self._batches[task.model].score(request)
        png = self._png(task.picture) if task.keep else b""
        return Answer(msgspec.to_builtins(scored.score), scored.version, png)

    def _decoded(self, task: Task) -> Any:
        """The request that the model takes. Raises InvalidRequest or NoDecoder."""
        decoder = self._decoders[task.model]
        body = {"image": task.picture, **({"query": task.query} if task.query else {})}
        began = perf_counter()
        try:
            return decoder(msgspec.json.encode(body))
        finally:
            self._metrics.decoded(task.model, perf_counter() - began)

    @staticmethod
    def _png(picture: bytes) -> bytes:
        # With its transparency: a white stroke on nothing would be white on white.
        return as_png(decoded(picture, _KEPT_SIDE, keep_alpha=True))


def counting(place: str) -> PictureProcessMetrics:
    """The metrics of this process, which a thread of its own keeps current from now on."""
    multiprocess.install()
    multiprocess.bind_worker(place)
    metrics = PictureProcessMetrics(CollectorRegistry(), catalog.picture_models())
    contained.start(metrics.background.failure)
    metrics.process.start(place)

    def each_second() -> None:
        while True:
            sleep(_TICK_SECONDS)
            contained("process", metrics.process.publish)
            contained("files", multiprocess.rewrite_removed)

    Thread(target=each_second, name="each-second", daemon=True).start()
    return metrics


def serve(listening: socket.socket, scorers: Scorers) -> None:
    """Answer tasks, until the process ends. One that no thread is free for stays in the socket.

    There another process may take it, and it outlives this one.
    """
    free = BoundedSemaphore(_THREADS)
    with ThreadPoolExecutor(_THREADS, "picture") as threads:
        log.info("Pictures can be scored")
        while True:
            free.acquire()
            connection = Connection(listening.accept()[0].detach())
            answered = threads.submit(_answer, connection, scorers)
            answered.add_done_callback(lambda _: free.release())


def _answer(connection: Connection, scorers: Scorers) -> None:
    with connection:
        try:
            task = read_task(connection.recv_bytes(LONGEST))
            connection.send_bytes(encode(scorers.said(task)))
        except (OSError, EOFError):  # the client has gone
            return
