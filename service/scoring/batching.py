"""Natural batching: all rows that came in one iteration of the event loop share one CatBoost call.

One call has a fixed cost of about as much as ten rows, so under load many requests share it; a
request alone waits for nothing but the end of the iteration.
"""

from asyncio import get_running_loop
from collections.abc import Callable, Sequence
from time import monotonic, perf_counter
from typing import Protocol

from model.scorer import Row, Score, Scorer
from service.overload.admission import BATCH, Admission
from service.telemetry.failures import log_failure


class Waiting(Protocol):
    """A row that waits for its score. Its batch must begin before `latest`, by `monotonic`."""

    row: Row
    latest: float

    def scored(self, score: Score, began: float, ended: float) -> None:
        """Its score, and when the batch began and ended, by `perf_counter`."""

    def failed(self, error: Exception) -> None:
        """The row can't be scored."""

    def too_late(self) -> None:
        """Its time is over."""


class Batcher:
    """Scores single rows with one model.

    Rows gather while the event loop serves the sockets that are ready; then one call scores them
    all, up to `BATCH`. A row that can't be scored fails alone.
    """

    def __init__(
        self,
        scorer: Scorer,
        admission: Admission,
        counted: Callable[[Sequence[Row], Sequence[Score]], None],
    ) -> None:
        """`counted` is given the rows of each call that have scores, and these."""
        self._scorer = scorer
        self._admission = admission
        self._counted = counted
        self._line: list[Waiting] = []
        self._left_at = 0.0  # when rows were left over for the next batch

    def add(self, waiting: Waiting) -> None:
        """Have a row scored when this iteration of the loop ends."""
        if not self._line:
            get_running_loop().call_soon(self._flush)
        self._line.append(waiting)
        self._admission.waiting += 1

    def _flush(self) -> None:
        batch, self._line = self._line[:BATCH], self._line[BATCH:]
        self._admission.waiting -= len(batch)
        now = monotonic()
        if self._left_at:
            self._admission.batch_took(now - self._left_at)
        self._left_at = now if self._line else 0.0
        if self._line:
            get_running_loop().call_soon(self._flush)
        in_time = [waiting for waiting in batch if waiting.latest >= now]
        if len(in_time) < len(batch):
            for waiting in batch:
                if waiting.latest < now:
                    self._expire(waiting)
        if in_time:
            self._score(in_time)

    @staticmethod
    def _expire(waiting: Waiting) -> None:
        try:
            waiting.too_late()
        except Exception as error:  # noqa: BLE001 - the other rows get their replies
            log_failure("a reply", error)

    def _score(self, batch: list[Waiting]) -> None:
        began = perf_counter()
        rows = [waiting.row for waiting in batch]
        results = self._results(rows)
        ended = perf_counter()
        try:
            self._count(rows, results)
        except Exception as error:  # noqa: BLE001 - each row gets its reply, whatever happens
            log_failure("a batch", error)
        for waiting, result in zip(batch, results, strict=True):
            try:
                if isinstance(result, Exception):
                    waiting.failed(result)
                else:
                    waiting.scored(result, began, ended)
            except Exception as error:  # noqa: BLE001 - as above
                log_failure("a reply", error)

    def _count(self, rows: Sequence[Row], results: Sequence[Score | Exception]) -> None:
        scores = [result for result in results if not isinstance(result, Exception)]
        if len(scores) < len(rows):
            pairs = zip(rows, results, strict=True)
            rows = [row for row, result in pairs if not isinstance(result, Exception)]
        if scores:
            self._counted(rows, scores)

    def _results(self, rows: list[Row]) -> Sequence[Score | Exception]:
        try:
            return self._scorer.predict(rows)
        except Exception as error:  # noqa: BLE001 - handed to the request that caused it
            if len(rows) == 1:
                return [error]
            return [self._results([row])[0] for row in rows]
