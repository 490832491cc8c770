"""The live scorer, and its replacement by another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from model.scorer import Request, Row, Score, Scorer, Table
from service.overload.admission import Admission
from service.scoring.batching import Batcher
from service.scoring.recent import recent as place_for
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from service.decisions.recorder import Recorder
    from service.scoring.capture import Capture
    from service.scoring.shadow import Shadow


class Live:
    """A scorer that serves, and the batcher of its single rows."""

    def __init__(self, scorer: Scorer, metrics: Metrics, admission: Admission) -> None:
        self.scorer: Any = scorer  # a model's own routes ask more of it than `Scorer` has
        of_model = metrics.of(scorer.name)
        self.predictions = of_model.predictions(scorer)
        self.batcher = Batcher(scorer, admission, self.scored)
        self._metrics = of_model.scoring
        self.version = scorer.version

    def scored(self, rows: Sequence[Row], scores: Sequence[Score]) -> None:
        """Count rows that one call has scored, before the scores are handed back."""
        self._metrics.batch(len(rows))
        self._metrics.scored(len(rows))
        self.predictions.rows(rows, scores)

    def scored_table(
        self, requests: Sequence[Request], table: Table, scores: Sequence[Score]
    ) -> None:
        """The same for requests that were scored as a table."""
        self._metrics.batch(len(requests))
        self._metrics.scored(len(requests))
        self.predictions.table(requests, table, scores)


class Slot:
    """Holds the live version. A request reads `current` once, so it never uses two.

    `recent` are the newest requests of this worker, in memory only: a version that
    is to be live is tried on them first.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a server
        self,
        scorer: Scorer,
        metrics: Metrics,
        admission: Admission,
        recent: int = 0,
        capture: "Capture | None" = None,
        recorder: "Recorder | None" = None,
    ) -> None:
        """`recent` is how many requests are kept at most; `capture` writes some to files.

        `recorder` keeps the decision on each.
        """
        self._metrics = metrics
        self._rollout = metrics.of(scorer.name).rollout
        self._admission = admission
        self._worker = ""
        self._former: Live | None = None
        self.current = self.prepare(scorer)
        self.shadow: Shadow | None = None
        self.capture = capture
        self.recorder = recorder
        self.recent = place_for(recent, scorer.memory_of)
        self.warm = False

    def prepare(self, scorer: Scorer) -> Live:
        """What could serve with a scorer."""
        return Live(scorer, self._metrics, self._admission)

    def warm_up(self) -> None:
        """Score the golden rows in this process; ready from then on. Raises ModelRefused."""
        self.current.scorer.warm()
        self.current.predictions.activate()
        self.warm = True

    def bind_worker(self, worker: str) -> None:
        """Show in the metrics which worker this is, and what it serves."""
        self._worker = worker
        self._rollout.live(self.current.version, worker, serves=True)

    def change(self, live: Live) -> None:
        """Serve another: one reference, changed at once. Requests in flight end with the former."""
        self._former, self.current = self.current, live
        self._former.predictions.retire()
        live.predictions.activate()
        self._rollout.live(self._former.version, self._worker, serves=False)
        self._rollout.live(live.version, self._worker, serves=True)
        if self.recorder:
            self.recorder.swapped(self._former, live)

    @property
    def served(self) -> list[Live]:
        """What serves, and what did before it: its last rows come after the change."""
        return [live for live in (self._former, self.current) if live]
