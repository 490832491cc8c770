"""Scoring with the live model: guards, rows or a table, counts, details.

What was scored is handed to the shadow model, to the capture, and to those who compare versions. It
uses no HTTP and no event loop: the caller gathers single rows into batches, and does other things
between the steps of an array.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from model import InvalidRequest
from model.scorer import Decisions, Model, Request, Row, Score, ScoredRow, Scorer
from service.config import guard_policies as policies
from service.config.settings import Settings
from service.scoring.inputs import Inputs
from service.scoring.live import Live, Slot
from service.telemetry.metrics import Metrics
from service.telemetry.record import Record

if TYPE_CHECKING:
    from service.decisions.recorder import Recorder

# A score, a score with details, or InvalidRequest: why a row has none.
Outcome: TypeAlias = Any

# Rows of an array that are scored in one step: some six milliseconds.
STEP_ROWS: Final = 500
# The last step may have more: another call of the model would cost a millisecond.
LAST_STEP_ROWS: Final = 1000
# Rows whose details are made in one step.
_STEP_DETAILS: Final = 100


# The fingerprint of a row's features, and its warnings.
Described: TypeAlias = tuple[str, Sequence[str]]


def reviewer_of(model: Model, settings: Settings) -> Any:
    """A model's reviewer, by the policies, costs and thresholds of the settings."""
    chosen = policies.parse(settings.guards, settings.unseen)
    return model.reviewer(chosen, settings.costs, by_costs=settings.thresholds == "costs")


def decisions_of(model: Model, settings: Settings) -> Callable[[Scorer], Decisions | None]:
    """What decides by the scores of a version of a model, by the settings."""
    return partial(model.decisions, settings.costs, by_costs=settings.thresholds == "costs")


class Scoring:
    """Scores with the model that is live in a slot."""

    def __init__(self, model: Model, slot: Slot, settings: Settings, metrics: Metrics) -> None:
        self._slot = slot
        self._reviewer = reviewer_of(model, settings)
        self._inputs = Inputs(self._reviewer)
        self._metrics = metrics.of(model.name).scoring

    def row(self, live: Live, request: Request, record: Record) -> tuple[Request, Row]:
        """A request as it is scored, guards applied, and its features.

        Raises InvalidRequest when a guard refuses it.
        """
        began = perf_counter()
        scored, row, refused, _ = self._inputs.row(live, request, record)
        record.features_seconds = perf_counter() - began
        if refused:
            raise refused
        return scored, row

    def one(self, live: Live, request: Request, record: Record, *, detail: bool) -> Outcome:
        """Score one request now. Raises InvalidRequest."""
        scored, row = self.row(live, request, record)
        began = perf_counter()
        try:
            (score,) = live.scorer.predict([row])
        except Exception:
            self._metrics.failed(1)
            raise
        record.predict_seconds = perf_counter() - began
        live.scored([row], [score])
        self.scored(live, scored, row, score, record)
        return self.outcome(live, request, score, record, detail=detail)

    def scored(self, live: Live, request: Request, row: Row, score: Score, record: Record) -> None:
        """Hand on a request that has its score, as it was scored, and its features."""
        self._slot.recent.append(request)
        if self._slot.shadow:
            self._slot.shadow.offer(request, score, live.version)
        if self._slot.capture:
            self._slot.capture.offer(record.request_id, 0, request, score, live.version)
        if self._slot.recorder:
            features = live.scorer.fingerprint(row)
            scored = ScoredRow(0, request, score, features, record.warnings)
            self._slot.recorder.offer(record, live, scored)

    def outcome(
        self, live: Live, request: Request, score: Score, record: Record, *, detail: bool
    ) -> Outcome:
        """What is replied for a request, as it was sent."""
        record.rows = 1
        return self._reviewer.detail(live.scorer, request, score) if detail else score

    def failed(self, rows: int) -> None:
        """Count rows that should have got a score."""
        self._metrics.failed(rows)

    def refused(self, fault: InvalidRequest) -> None:
        """Count a row that can't be scored."""
        self._metrics.refused(fault)

    def array(
        self,
        live: Live,
        slices: Iterable[list[Request | InvalidRequest]],
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
        self, live: Live, items: Sequence[Request | InvalidRequest], record: Record
    ) -> list[Outcome]:
        requests = [item for item in items if not isinstance(item, InvalidRequest)]
        record.rows += len(requests)
        for item in items:
            if isinstance(item, InvalidRequest):
                self._metrics.refused(item)
        # A table has no rows to refuse or to change one by one.
        many = self._inputs.as_sent and len(requests) >= live.scorer.table_rows
        by = self._by_table if many else self._by_rows
        try:
            results, described = by(live, requests, record)
        except Exception:
            self._metrics.failed(len(requests))
            raise
        self._hand_on(live, requests, results, record)
        if self._slot.recorder:
            self._keep(self._slot.recorder, live, requests, results, described(), record)
        if len(requests) == len(items):
            return [*results]
        scored = iter(results)
        return [item if isinstance(item, InvalidRequest) else next(scored) for item in items]

    def _hand_on(
        self,
        live: Live,
        requests: Sequence[Request],
        results: Sequence[Outcome],
        record: Record,
    ) -> None:
        pairs = zip(requests, results, strict=True)
        self._slot.recent.extend(
            request for request, got in pairs if not isinstance(got, InvalidRequest)
        )
        if self._slot.shadow:
            self._slot.shadow.offer_all(requests, results, live.version)
        if self._slot.capture:
            for row, request, got in _scored(requests, results, record):
                self._slot.capture.offer(record.request_id, row, request, got, live.version)

    @staticmethod
    def _keep(  # noqa: PLR0913, PLR0917 - all that a decision consists of
        recorder: "Recorder",
        live: Live,
        requests: Sequence[Request],
        results: Sequence[Outcome],
        described: Iterable[Described],
        record: Record,
    ) -> None:
        rows = zip(_scored(requests, results, record), described, strict=True)
        for (row, request, got), (features, warnings) in rows:
            recorder.offer(record, live, ScoredRow(row, request, got, features, tuple(warnings)))

    def _by_rows(
        self, live: Live, requests: list[Request], record: Record
    ) -> tuple[Sequence[Outcome], Callable[[], Iterable[Described]]]:
        began = perf_counter()
        checked = [self._inputs.row(live, request, record) for request in requests]
        featured = perf_counter()
        # The shadow and the parity gate must score the same.
        requests[:] = [scored for scored, _, _, _ in checked]
        rows = [row for _, row, refused, _ in checked if not refused]
        scores = live.scorer.predict(rows)
        record.features_seconds += featured - began
        record.predict_seconds += perf_counter() - featured
        live.scored(rows, scores)
        for _, _, refused, _ in checked:
            if refused:
                self._metrics.refused(refused)
        following = iter(scores)
        outcomes = [refused or next(following) for _, _, refused, _ in checked]
        warnings = [warnings for _, _, refused, warnings in checked if not refused]
        return outcomes, lambda: zip(map(live.scorer.fingerprint, rows), warnings, strict=True)

    def _by_table(
        self, live: Live, requests: list[Request], record: Record
    ) -> tuple[Sequence[Outcome], Callable[[], Iterable[Described]]]:
        began = perf_counter()
        table, warned = self._inputs.table(live, requests, record)
        featured = perf_counter()
        scorer = live.scorer
        scores: Sequence[Score] = scorer.score_table(table)
        record.features_seconds += featured - began
        record.predict_seconds += perf_counter() - featured
        live.scored_table(requests, table, scores)

        def described() -> Iterable[Described]:
            warnings = scorer.warnings_of(requests, table) if warned else [()] * len(requests)
            return zip(scorer.fingerprints(table), warnings, strict=True)

        return scores, described

    def _detailed(
        self, live: Live, items: Sequence[Request | InvalidRequest], results: Sequence[Outcome]
    ) -> Iterator[list[Outcome]]:
        detailed: list[Outcome] = []
        for item, result in zip(items, results, strict=True):
            if not isinstance(result, InvalidRequest):
                detailed.append(self._reviewer.detail(live.scorer, item, result))
            else:
                detailed.append(result)
            if len(detailed) == _STEP_DETAILS:
                yield detailed
                detailed = []
        yield detailed


def _scored(
    requests: Sequence[Request], results: Sequence[Outcome], record: Record
) -> Iterator[tuple[int, Request, Score]]:
    """The requests that have scores, with their places in their array."""
    rows = enumerate(zip(requests, results, strict=True), record.rows - len(requests))
    for row, (request, got) in rows:
        if not isinstance(got, InvalidRequest):
            yield row, request, got


def _steps(
    slices: Iterable[list[Request | InvalidRequest]],
) -> Iterator[list[Request | InvalidRequest]]:
    """The same rows in steps, and an empty one after each slice.

    A call of the model costs about a millisecond before its first row: few large ones are cheap.
    """
    rows: list[Request | InvalidRequest] = []
    for items in slices:
        rows += items
        yield []
        while len(rows) > LAST_STEP_ROWS:
            yield rows[:STEP_ROWS]
            del rows[:STEP_ROWS]
    if rows:
        yield rows
