"""Natural batching: whoever predicts takes every row that is waiting, and waits for none.

One CatBoost call has a fixed cost of about as much as ten rows, so under load many requests
share a call; alone, a request pays one turn of the event loop.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from gevent import get_hub, getcurrent

from model.regno import RegnoScorer, Row, Score

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
        self._turn: Any = None

    def predict(self, row: Row) -> Prediction:
        """The score of one row; the calling greenlet sleeps until its batch is done."""
        hub = get_hub()
        if not self._waiting:
            self._start_turn(hub.loop)
        self._waiting.append((getcurrent(), row))
        prediction: Prediction = hub.switch()
        return prediction

    def _start_turn(self, loop: Any) -> None:
        """Predict in the loop's next turn, after all sockets that are ready by then.

        A timer of least priority and no delay comes after the turn's sockets. The loop's
        callbacks would come before them, again and again: a client whose next request is
        there at once would then be served for as long as it likes, and others starve.
        """
        if self._turn is None:  # not in __init__: the master has no loop, its workers have
            self._turn = loop.timer(0.0, priority=loop.MINPRI)
        self._turn.start(self._flush, update=False)

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        began = perf_counter()
        results = self._results([row for _, row in batch])
        ended = perf_counter()
        self._tell(batch, results)
        for (waiter, _), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                waiter.throw(type(result), result, result.__traceback__)
            else:
                waiter.switch(Prediction(result, began, ended))

    def _tell(
        self, batch: "list[tuple[greenlet, Row]]", results: Sequence[Score | Exception]
    ) -> None:
        pairs = zip(batch, results, strict=True)
        good = [(row, score) for (_, row), score in pairs if isinstance(score, Score)]
        if good:
            self._scored(*map(list, zip(*good, strict=True)))

    def _results(self, rows: list[Row]) -> Sequence[Score | Exception]:
        try:
            return self._scorer.predict(rows)
        except Exception as error:  # noqa: BLE001 - handed to the request that caused it
            if len(rows) == 1:
                return [error]
            return [self._results([row])[0] for row in rows]
