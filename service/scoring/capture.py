"""Capture: a sample of the live readings is written to files, to train on once they have labels.

A request costs an append at most. Once a second the rows that wait are looked at, and a thread
writes them when there are enough, or after a while. What finds no room is dropped and counted.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import random
from time import gmtime, monotonic, strftime, time
from typing import Final

from model.scorer import Captured, Model, Request, Score
from service.config.settings import Settings
from service.scoring.recent import LARGEST_BYTES
from service.telemetry.failures import log_failure
from service.telemetry.metrics.capture import CaptureMetrics

# Rows that wait in a worker at the most, and those that are written at once.
_MOST: Final = 5_000
_ENOUGH: Final = 1_000
_SECONDS: Final = 60.0
_PATTERN: Final = "captured-*.parquet"
_DAY: Final = 86_400


class Capture:
    """The rows of one worker on their way to files."""

    def __init__(
        self,
        model: Model,
        settings: Settings,
        memory_of: Callable[[Request], int],
        metrics: CaptureMetrics,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """`memory_of` says what a request takes, and requests that take much are dropped."""
        self._model = model
        self._share = settings.capture
        self._folder = Path(settings.capture_dir)
        self._plates = settings.capture_plates == "yes"
        self._bytes = settings.capture_mb << 20
        self._keep_seconds = settings.capture_days * _DAY
        self._memory_of = memory_of
        self._metrics = metrics
        self._now = now
        self._rows: list[Captured] = []
        self._dropped = 0
        self._written = now()
        self._files = 0
        self._thread: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None

    def offer(
        self, request_id: str, row: int, request: Request, score: Score, version: str
    ) -> None:
        """Note a row that was scored, if it is picked; `row` is its place in its array."""
        if random() >= self._share:  # noqa: S311 - no secret
            return
        if len(self._rows) >= _MOST or self._memory_of(request) > LARGEST_BYTES:
            self._dropped += 1
            return
        self._rows.append(Captured(request_id, row, time(), version, score.positive, request))

    def publish(self) -> None:
        """Once a second: have a thread write what waits, if it is enough or has waited long."""
        self._metrics.dropped(self._dropped)
        self._dropped = 0
        waited = self._now() - self._written
        busy = self._writing is not None and not self._writing.done()
        if busy or not self._rows or (len(self._rows) < _ENOUGH and waited < _SECONDS):
            return
        # Made here: a thread does not survive the fork of the worker.
        self._thread = self._thread or ThreadPoolExecutor(1, "capture")
        self._writing = self._thread.submit(self._write, self._taken())

    def close(self) -> None:
        """At the end of the worker: write what waits."""
        if self._thread:
            self._thread.shutdown()
        if self._rows:
            self._write(self._taken())
        self._metrics.dropped(self._dropped)

    def _taken(self) -> list[Captured]:
        rows, self._rows = self._rows, []
        self._written = self._now()
        self._files += 1
        return rows

    def _write(self, rows: list[Captured]) -> None:
        stamp = strftime("%Y%m%dT%H%M%SZ", gmtime())
        path = self._folder / f"captured-{stamp}-{os.getpid()}-{self._files}.parquet"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._model.write_captured(path, rows, plates=self._plates)
            size = path.stat().st_size
        except Exception as error:  # noqa: BLE001 - no caller waits for it
            self._metrics.failed(len(rows))
            log_failure("the capture", error)
            return
        self._metrics.written(len(rows), size)
        try:
            self._make_room()
        except OSError as error:
            log_failure("old files of the capture", error)

    def _make_room(self) -> None:
        """Remove files that are too old, and the oldest ones while all take too much room."""
        files = []
        for path in self._folder.glob(_PATTERN):
            with suppress(FileNotFoundError):  # another worker removed it
                state = path.stat()
                files.append((state.st_mtime, state.st_size, path))
        room = self._bytes
        for modified, size, path in sorted(files, reverse=True):
            room -= size
            if room < 0 or modified < time() - self._keep_seconds:
                path.unlink(missing_ok=True)
