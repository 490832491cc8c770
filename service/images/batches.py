"""Batches of pictures: those that wait at the same time are scored in one call of the model."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any, Final, NamedTuple, TypeAlias

from model.scorer import Row, Score, Scorer

MOST: Final = 32
# Gets the rows of a batch, their scores, and the seconds that the call took.
Observe: TypeAlias = Callable[[Sequence[Row], Sequence[Score], float], None]


class Scored(NamedTuple):
    """A score, and the version that made it."""

    score: Any
    version: str


class Batches:
    """Scores rows for many threads, in a thread of its own."""

    def __init__(
        self, live: Callable[[], Scorer], observe: Observe = lambda *_: None, most: int = MOST
    ) -> None:
        """`live` returns the scorer for the next batch of at most so many rows.

        `observe` is called after each batch that was scored, before anybody has its scores.
        """
        self._live = live
        self._observe = observe
        self._most = most
        self._waiting: SimpleQueue[tuple[Row, Future[Scored]]] = SimpleQueue()
        Thread(target=self._run, name="batches", daemon=True).start()

    def score(self, row: Row) -> Scored:
        """The score of a row. Raises what its batch raised."""
        future: Future[Scored] = Future()
        self._waiting.put((row, future))
        return future.result()

    def _run(self) -> None:
        while True:
            self._score(self._next())

    def _next(self) -> list[tuple[Row, "Future[Scored]"]]:
        """All that wait, at least one."""
        batch = [self._waiting.get()]
        try:
            while len(batch) < self._most:
                batch.append(self._waiting.get_nowait())
        except Empty:
            pass
        return batch

    def _score(self, batch: list[tuple[Row, "Future[Scored]"]]) -> None:
        try:
            scorer = self._live()
            began = perf_counter()
            rows = [scorer.row(row) for row, _ in batch]
            scores = scorer.predict(rows)
            self._observe(rows, scores, perf_counter() - began)
            for (_, future), score in zip(batch, scores, strict=True):
                future.set_result(Scored(score, scorer.version))
        except Exception as error:  # noqa: BLE001 - each caller gets it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
