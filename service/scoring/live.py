"""Where the live scorer is, and how another takes its place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from model.regno import Reading, RegnoScorer, Row, Score
from service.overload.admission import Admission
from service.scoring.batching import Batcher
from service.scoring.recent import recent as place_for
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from service.scoring.shadow import Shadow


class Live:
    """A scorer that serves, and the batcher of its single rows."""

    def __init__(self, scorer: RegnoScorer, metrics: Metrics, admission: Admission) -> None:
        self.scorer = scorer
        self.behaviour = metrics.behaviour(scorer)
        self.batcher = Batcher(scorer, admission, self.scored)
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

    `recent` are the newest readings of this worker's requests, in memory only: a version that
    is to be live is tried on them first.
    """

    def __init__(
        self, scorer: RegnoScorer, metrics: Metrics, admission: Admission, recent: int = 0
    ) -> None:
        """`recent` is how many readings are kept at most."""
        self._metrics = metrics
        self._admission = admission
        self._worker = ""
        self._former: Live | None = None
        self.current = self.made(scorer)
        self.shadow: Shadow | None = None
        self.recent = place_for(recent)
        self.warm = False

    def made(self, scorer: RegnoScorer) -> Live:
        """What could serve with a scorer."""
        return Live(scorer, self._metrics, self._admission)

    def warm_up(self) -> None:
        """Score the golden rows in this process; ready from then on. Raises ModelRefused."""
        self.current.scorer.warm()
        self.current.behaviour.show()
        self.warm = True

    def serve_as(self, worker: str) -> None:
        """Tell the metrics which worker this is, and what it serves."""
        self._worker = worker
        self._metrics.scoring.live(self.current.version, worker, serves=True)

    def change(self, live: Live) -> None:
        """Serve another: one reference, changed at once. Requests in flight end with the former."""
        self._former, self.current = self.current, live
        self._former.behaviour.hide()
        live.behaviour.show()
        self._metrics.scoring.live(self._former.version, self._worker, serves=False)
        self._metrics.scoring.live(live.version, self._worker, serves=True)

    @property
    def served(self) -> list[Live]:
        """What serves, and what did before it: its last rows come after the change."""
        return [live for live in (self._former, self.current) if live]
