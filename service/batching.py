"""Natural batching: whoever predicts takes every row that is waiting, and waits for none.

One CatBoost call has a fixed cost of about as much as ten rows, so under load many requests
share a call; alone, a request pays one turn of the event loop.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from gevent import get_hub, getcurrent

from model.regno import RegnoScorer, Row, Score
from service.errors import log_exception
from service.turns import EndOfTurn

if TYPE_CHECKING:
    from greenlet import greenlet


class Prediction(NamedTuple):
    """A score, and when the batch it came from began and ended, by `perf_counter`."""

    score: Score
    began: float
    ended: float


class Batcher:
    """Predicts single rows for many greenlets of one thread with one model.

    Rows queue up while the event loop serves the sockets that are ready; then one call
    predicts them all. A row that can't be predicted fails alone.
    """

    def __init__(
        self, scorer: RegnoScorer, scored: Callable[[Sequence[Row], Sequence[Score]], None]
    ) -> None:
        """`scored` is told the rows of each call that have scores, and these."""
        self._scorer = scorer
        self._scored = scored
        self._waiting: list[tuple[greenlet, Row]] = []
        self._turn = EndOfTurn(self._flush)

    def predict(self, row: Row) -> Prediction:
        """The score of one row; the calling greenlet sleeps until its batch is done."""
        if not self._waiting:
            self._turn.wait()
        self._waiting.append((getcurrent(), row))
        prediction: Prediction = get_hub().switch()
        return prediction

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        began = perf_counter()
        rows = [row for _, row in batch]
        results = self._results(rows)
        ended = perf_counter()
        try:
            self._tell(rows, results)
        except Exception as error:  # noqa: BLE001 - whoever waits must be woken, whatever happens
            log_exception(error, "of a batch")
        for (waiter, _), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                waiter.throw(type(result), result, result.__traceback__)
            else:
                waiter.switch(Prediction(result, began, ended))

    def _tell(self, rows: Sequence[Row], results: Sequence[Score | Exception]) -> None:
        scores = [result for result in results if isinstance(result, Score)]
        if len(scores) < len(rows):
            pairs = zip(rows, results, strict=True)
            rows = [row for row, result in pairs if isinstance(result, Score)]
        if scores:
            self._scored(rows, scores)

    def _results(self, rows: list[Row]) -> Sequence[Score | Exception]:
        try:
            return self._scorer.predict(rows)
        except Exception as error:  # noqa: BLE001 - handed to the request that caused it
            if len(rows) == 1:
                return [error]
            return [self._results([row])[0] for row in rows]
