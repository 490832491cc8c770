"""Where the live scorer is."""

from collections.abc import Sequence
from typing import Any

from model.regno import Reading, RegnoScorer, Row, Score
from service.batching import Batcher
from service.metrics import Metrics


class Live:
    """A scorer that serves, and the batcher of its single rows."""

    def __init__(self, scorer: RegnoScorer, metrics: Metrics) -> None:
        self.scorer = scorer
        self.behaviour = metrics.behaviour(scorer)
        self.batcher = Batcher(scorer, self.scored)
        self._metrics = metrics.scoring
        self.version = scorer.version

    def scored(self, rows: Sequence[Row], scores: Sequence[Score]) -> None:
        """Count rows that one call has scored, before anybody is told the scores."""
        self._metrics.batch(len(rows))
        self._metrics.scored(len(rows))
        self.behaviour.scored(self.scorer.classes_of(rows), scores)
        self.behaviour.rows(rows, scores)

    def scored_table(
        self, readings: Sequence[Reading], table: Any, scores: Sequence[Score]
    ) -> None:
        """The same for readings that were scored as a table."""
        self._metrics.batch(len(readings))
        self._metrics.scored(len(readings))
        self.behaviour.scored((reading.camera_class for reading in readings), scores)
        self.behaviour.table(table, scores)


class Slot:
    """Holds what serves. A request reads `current` once, so it never sees two.

    To serve another, assign `current`: one reference, changed at once.
    """

    def __init__(self, scorer: RegnoScorer, metrics: Metrics) -> None:
        self.current = Live(scorer, metrics)
        self.warm = False

    def warm_up(self) -> None:
        """Score the golden rows in this process; ready from then on. Raises ModelRefused."""
        self.current.scorer.warm()
        self.warm = True
