"""One CatBoost call for all rows of an iteration of the event loop."""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import TypeAlias

from model.regno import RegnoScorer, Row, Score

# Takes a score, and the start and end of its batch.
Take: TypeAlias = Callable[[Score, float, float], None]


class Batch:
    """The rows of this iteration."""

    def __init__(self, scorer: RegnoScorer, after: Callable[[], None] = lambda: None) -> None:
        """`after` is called after the scores of a batch are delivered."""
        self._scorer = scorer
        self._after = after
        self._waiting: list[tuple[Row, Take]] = []

    def add(self, row: Row, take: Take) -> None:
        """Add a row to the batch."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(0, self._flush)
        self._waiting.append((row, take))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        began = perf_counter()
        scores = self._scorer.predict([row for row, _ in waiting])
        ended = perf_counter()
        for (_, take), score in zip(waiting, scores, strict=True):
            take(score, began, ended)
        self._after()
