"""POST /reg/: one reading or an array of them in, probabilities out."""

from collections.abc import Sequence
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from model import InvalidRequest
from model.regno import MANY, Guards, Reading, RegnoScorer, Score
from service import body, details, policies, reply
from service.admission import Admission
from service.auth import KeyRing
from service.details import Details
from service.guard import admit, require_key
from service.inputs import Inputs
from service.metrics import Metrics
from service.record import Record, record_of
from service.reply import Reply
from service.settings import Settings
from service.slots import Live, Slot
from service.turns import after_the_sockets

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# An array is scored in slices of so many rows, some ten milliseconds each, and the requests
# that arrived meanwhile are served between two slices.
SLICE_ROWS: Final = 1000


class RegRoute:
    """Scores bodies with the slot's live model."""

    def __init__(
        self,
        slot: Slot,
        keys: KeyRing,
        settings: Settings,
        metrics: Metrics,
        admission: Admission,
    ) -> None:
        self._admission = admission
        self._slot = slot
        self._keys = keys
        self._limits = (settings.max_body, settings.max_array_body)
        self._decode = RegnoScorer.decoder(settings.max_rows)
        guards = Guards(policies.parse(settings.guards, settings.unseen))
        self._inputs = Inputs(guards)
        self._details = Details(settings, guards)
        self._metrics = metrics.scoring

    def post(self, environ: "WSGIEnvironment") -> Reply:
        """Check the key, read, score, reply; raises InvalidRequest or Refused.

        Needs nothing of Flask's but the environ: this is the express lane's view.
        """
        record = record_of(environ)
        record.route = "/reg"
        admit(environ, self._keys)
        live = self._slot.current
        record.model_version = live.version
        if self._admission.busy:  # by its stated length: who is refused need not be read
            self._admission.check(environ, int(environ.get("CONTENT_LENGTH") or 0))
        text = body.read(environ, *self._limits)
        query = environ.get("QUERY_STRING", "")
        try:
            detail = query != "" and details.wanted(query)
            with self._admission.check(environ, len(text)):
                response = self._score(live, text, record, detail=detail)
        except InvalidRequest as fault:
            self._metrics.refused(fault)
            raise
        self._metrics.stages(record)
        _describe(response, record)
        return response

    def _score(self, live: Live, text: bytes, record: Record, *, detail: bool) -> Reply:
        began = perf_counter()
        decoded = self._decode(text)
        record.decode_seconds = perf_counter() - began
        if isinstance(decoded, list):
            return self._array(live, decoded, record, detail=detail)
        return self._single(live, decoded, record, detail=detail)

    def _single(self, live: Live, reading: Reading, record: Record, *, detail: bool) -> Reply:
        began = perf_counter()
        scored, row, refused = self._inputs.row(live, reading, record)
        queued = perf_counter()
        record.features_seconds = queued - began
        if refused:
            raise refused
        try:
            prediction = live.batcher.predict(row)
        except Exception:
            self._metrics.failed(1)
            raise
        resumed = perf_counter()
        self._slot.recent.append(scored)
        if self._slot.shadow:
            self._slot.shadow.offer(scored, prediction.score, live.version)
        record.rows = 1
        record.predict_seconds = prediction.ended - prediction.began
        record.wait_seconds = resumed - queued - record.predict_seconds
        score = prediction.score
        response = reply.ok(self._details.one(live, reading, score) if detail else score)
        record.encode_seconds = perf_counter() - resumed
        return response

    def _array(
        self, live: Live, items: list[Reading | InvalidRequest], record: Record, *, detail: bool
    ) -> Reply:
        slices = (items[at : at + SLICE_ROWS] for at in range(0, len(items), SLICE_ROWS))
        results = list(chain.from_iterable(self._slice(live, part, record) for part in slices))
        partial = any(isinstance(result, InvalidRequest) for result in results)
        began = perf_counter()
        body = self._details.many(live, items, results) if detail else results
        response = reply.ok(body, partial=partial)
        record.encode_seconds = perf_counter() - began
        return response

    def _slice(
        self, live: Live, items: list[Reading | InvalidRequest], record: Record
    ) -> list[Score | InvalidRequest]:
        """Each item's score or fault, in order."""
        readings = [item for item in items if isinstance(item, Reading)]
        record.rows += len(readings)
        for item in items:
            if isinstance(item, InvalidRequest):
                self._metrics.refused(item)
        # A table has no rows to refuse or to change one by one.
        many = self._inputs.as_sent and len(readings) >= MANY
        by = self._by_table if many else self._by_rows
        try:
            outcomes = by(live, readings, record)
        except Exception:
            self._metrics.failed(len(readings))
            raise
        self._keep(live, readings, outcomes)
        after_the_sockets()
        scored = iter(outcomes)
        return [item if isinstance(item, InvalidRequest) else next(scored) for item in items]

    def _keep(
        self, live: Live, readings: list[Reading], outcomes: Sequence[Score | InvalidRequest]
    ) -> None:
        """For those who score the same again: the gate of a promotion, and the shadow."""
        pairs = zip(readings, outcomes, strict=True)
        self._slot.recent.extend(reading for reading, got in pairs if isinstance(got, Score))
        if self._slot.shadow:
            self._slot.shadow.offer_all(readings, outcomes, live.version)

    def _by_rows(
        self, live: Live, readings: list[Reading], record: Record
    ) -> list[Score | InvalidRequest]:
        began = perf_counter()
        checked = [self._inputs.row(live, reading, record) for reading in readings]
        featured = perf_counter()
        # Whoever scores these again is to score the same.
        readings[:] = [scored for scored, _, _ in checked]
        rows = [row for _, row, refused in checked if not refused]
        found = live.scorer.predict(rows)
        record.features_seconds += featured - began
        record.predict_seconds += perf_counter() - featured
        live.scored(rows, found)
        for _, _, refused in checked:
            if refused:
                self._metrics.refused(refused)
        scores = iter(found)
        return [refused or next(scores) for _, _, refused in checked]

    def _by_table(self, live: Live, readings: list[Reading], record: Record) -> list[Score]:
        began = perf_counter()
        table = self._inputs.table(live, readings, record)
        featured = perf_counter()
        scores = live.scorer.score_table(table)
        record.features_seconds += featured - began
        record.predict_seconds += perf_counter() - featured
        live.scored_table(readings, table, scores)
        return scores


def _describe(response: Reply, record: Record) -> None:
    timing = (
        f"decode;dur={record.decode_seconds * 1e3:.3f}, "
        f"features;dur={record.features_seconds * 1e3:.3f}, "
        f"wait;dur={record.wait_seconds * 1e3:.3f}, "
        f"predict;dur={record.predict_seconds * 1e3:.3f}"
    )
    response.headers.append(("Server-Timing", timing))
    if record.warnings:
        response.headers.append(("X-Score-Warnings", ", ".join(record.warnings)))


def blueprint(route: RegRoute, keys: KeyRing) -> Blueprint:
    """`/reg/`, and `/reg` without a redirect, which would lose the body.

    Two rules, since one with `strict_slashes=False` answers GET /reg with 404, not 405.
    """
    routes = Blueprint("reg", __name__)
    require_key(routes, keys)

    @routes.post("/reg/")
    @routes.post("/reg")
    def post_reg() -> Reply:
        return route.post(request.environ)

    return routes
