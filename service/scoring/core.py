"""The scoring core: from readings to outcomes, whatever interface they came by.

It applies the guards, scores, counts, and hands what was scored to the shadow model and to those
who compare versions. It knows no HTTP and no event loop: whoever calls gathers single rows into
batches, and does other things between the steps of an array.
"""

from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from typing import Final, TypeAlias

from model import InvalidRequest
from model.regno import MANY, Detail, Guards, Reading, Row, Score
from service.config.settings import Settings
from service.scoring import policies
from service.scoring.details import Details
from service.scoring.inputs import Inputs
from service.scoring.live import Live, Slot
from service.telemetry.metrics import Metrics
from service.telemetry.record import Record

Outcome: TypeAlias = Score | Detail | InvalidRequest

# Rows of an array that are scored in one step, some ten milliseconds; details of so many are made.
STEP_ROWS: Final = 1000
_STEP_DETAILS: Final = 100


class Scoring:
    """Scores with the model that is live in a slot."""

    def __init__(self, slot: Slot, settings: Settings, metrics: Metrics) -> None:
        guards = Guards(policies.parse(settings.guards, settings.unseen))
        self._slot = slot
        self._inputs = Inputs(guards)
        self._details = Details(settings, guards)
        self._metrics = metrics.scoring

    def row(self, live: Live, reading: Reading, record: Record) -> tuple[Reading, Row]:
        """A reading as it is scored, guards applied, and its features.

        Raises InvalidRequest when a guard refuses it.
        """
        began = perf_counter()
        scored, row, refused = self._inputs.row(live, reading, record)
        record.features_seconds = perf_counter() - began
        if refused:
            raise refused
        return scored, row

    def one(self, live: Live, reading: Reading, record: Record, *, detail: bool) -> Score | Detail:
        """Score one reading now. Raises InvalidRequest."""
        scored, row = self.row(live, reading, record)
        began = perf_counter()
        try:
            (score,) = live.scorer.predict([row])
        except Exception:
            self._metrics.failed(1)
            raise
        record.predict_seconds = perf_counter() - began
        live.scored([row], [score])
        self.scored(live, scored, score)
        return self.outcome(live, reading, score, record, detail=detail)

    def scored(self, live: Live, reading: Reading, score: Score) -> None:
        """Hand on a reading that has its score, as it was scored."""
        self._slot.recent.append(reading)
        if self._slot.shadow:
            self._slot.shadow.offer(reading, score, live.version)

    def outcome(
        self, live: Live, reading: Reading, score: Score, record: Record, *, detail: bool
    ) -> Score | Detail:
        """What is replied for a reading, as it was sent."""
        record.rows = 1
        return self._details.one(live, reading, score) if detail else score

    def failed(self, rows: int) -> None:
        """Count rows that should have got a score."""
        self._metrics.failed(rows)

    def refused(self, fault: InvalidRequest) -> None:
        """Count a row that can't be scored."""
        self._metrics.refused(fault)

    def array(
        self,
        live: Live,
        slices: Iterable[list[Reading | InvalidRequest]],
        record: Record,
        *,
        detail: bool,
    ) -> Iterator[list[Outcome]]:
        """Score the rows of an array: the outcomes in order, some in each step, or none."""
        for items in _steps(slices):
            if not items:
                yield []
                continue
            results = self._step(live, items, record)
            if detail:
                yield []
                yield from self._detailed(live, items, results)
            else:
                yield results

    def _step(
        self, live: Live, items: Sequence[Reading | InvalidRequest], record: Record
    ) -> list[Outcome]:
        readings = [item for item in items if isinstance(item, Reading)]
        record.rows += len(readings)
        for item in items:
            if isinstance(item, InvalidRequest):
                self._metrics.refused(item)
        # A table has no rows to refuse or to change one by one.
        many = self._inputs.as_sent and len(readings) >= MANY
        by = self._by_table if many else self._by_rows
        try:
            results = by(live, readings, record)
        except Exception:
            self._metrics.failed(len(readings))
            raise
        self._hand_on(live, readings, results)
        if len(readings) == len(items):
            return [*results]
        scored = iter(results)
        return [item if isinstance(item, InvalidRequest) else next(scored) for item in items]

    def _hand_on(
        self, live: Live, readings: Sequence[Reading], results: Sequence[Score | InvalidRequest]
    ) -> None:
        pairs = zip(readings, results, strict=True)
        self._slot.recent.extend(reading for reading, got in pairs if isinstance(got, Score))
        if self._slot.shadow:
            self._slot.shadow.offer_all(readings, results, live.version)

    def _by_rows(
        self, live: Live, readings: list[Reading], record: Record
    ) -> list[Score | InvalidRequest]:
        began = perf_counter()
        checked = [self._inputs.row(live, reading, record) for reading in readings]
        featured = perf_counter()
        # Whoever scores these again is to score the same.
        readings[:] = [scored for scored, _, _ in checked]
        rows = [row for _, row, refused in checked if not refused]
        scores = live.scorer.predict(rows)
        record.features_seconds += featured - began
        record.predict_seconds += perf_counter() - featured
        live.scored(rows, scores)
        for _, _, refused in checked:
            if refused:
                self._metrics.refused(refused)
        following = iter(scores)
        return [refused or next(following) for _, _, refused in checked]

    def _by_table(self, live: Live, readings: list[Reading], record: Record) -> list[Score]:
        began = perf_counter()
        table = self._inputs.table(live, readings, record)
        featured = perf_counter()
        scores = live.scorer.score_table(table)
        record.features_seconds += featured - began
        record.predict_seconds += perf_counter() - featured
        live.scored_table(readings, table, scores)
        return scores

    def _detailed(
        self, live: Live, items: Sequence[Reading | InvalidRequest], results: Sequence[Outcome]
    ) -> Iterator[list[Outcome]]:
        detailed: list[Outcome] = []
        for item, result in zip(items, results, strict=True):
            if isinstance(item, Reading) and isinstance(result, Score):
                detailed.append(self._details.one(live, item, result))
            else:
                detailed.append(result)
            if len(detailed) == _STEP_DETAILS:
                yield detailed
                detailed = []
        yield detailed


def _steps(
    slices: Iterable[list[Reading | InvalidRequest]],
) -> Iterator[list[Reading | InvalidRequest]]:
    """The same rows in parts of `STEP_ROWS`, the last one aside, and nothing after each slice.

    A call of the model costs about a millisecond before its first row: few large ones are cheap.
    """
    rows: list[Reading | InvalidRequest] = []
    for items in slices:
        rows += items
        yield []
        while len(rows) >= STEP_ROWS:
            yield rows[:STEP_ROWS]
            del rows[:STEP_ROWS]
    if rows:
        yield rows
