"""POST /reg/: one reading or an array of them in, probabilities out."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from flask import Blueprint, Response, request

from model import InvalidRequest
from model.regno import Reading, RegnoScorer, Row, Score
from service import body, reply
from service.auth import KeyRing
from service.guard import require_key
from service.metrics import Metrics
from service.record import Record, record_of
from service.settings import Settings
from service.slots import Slot


class RegRoute:
    """Scores bodies with the slot's live model."""

    def __init__(self, slot: Slot, settings: Settings, metrics: Metrics) -> None:
        self._slot = slot
        self._limits = (settings.max_body, settings.max_array_body)
        self._decode = RegnoScorer.decoder(settings.max_rows)
        self._reject_unseen = settings.unseen == "reject"
        self._metrics = metrics

    def post(self) -> Response:
        """Read, score, reply; raises InvalidRequest or Refused."""
        record = record_of(request.environ)
        scorer = self._slot.current
        record.model_version = scorer.version
        text = body.read(request.environ, *self._limits)
        began = perf_counter()
        decoded = self._decode(text)
        record.decode_seconds = perf_counter() - began
        if isinstance(decoded, list):
            response = self._many(scorer, decoded, record)
        else:
            response = self._one(scorer, decoded, record)
        self._describe(response, record)
        return response

    def _one(self, scorer: RegnoScorer, reading: Reading, record: Record) -> Response:
        (result,) = self._score(scorer, [reading], record)
        if isinstance(result, InvalidRequest):
            raise result
        return reply.ok(result)

    def _many(
        self, scorer: RegnoScorer, items: list[Reading | InvalidRequest], record: Record
    ) -> Response:
        readings = [item for item in items if not isinstance(item, InvalidRequest)]
        scored = iter(self._score(scorer, readings, record))
        results = [item if isinstance(item, InvalidRequest) else next(scored) for item in items]
        rows: list[Any] = [
            {"error": str(result)} if isinstance(result, InvalidRequest) else result
            for result in results
        ]
        partial = any(isinstance(result, InvalidRequest) for result in results)
        return reply.ok(rows, partial=partial)

    def _score(
        self, scorer: RegnoScorer, readings: Sequence[Reading], record: Record
    ) -> Sequence[Score | InvalidRequest]:
        """A score for each reading, or why there is none."""
        began = perf_counter()
        rows = scorer.features(readings)
        unseen = [scorer.unseen(row) for row in rows]
        record.features_seconds = perf_counter() - began
        record.rows = len(rows)
        if any(unseen):
            self._note(unseen, record)
            if self._reject_unseen:
                return self._score_seen(scorer, rows, unseen)
        began = perf_counter()
        scores = scorer.predict(rows)
        record.predict_seconds = perf_counter() - began
        return scores

    @staticmethod
    def _score_seen(
        scorer: RegnoScorer, rows: list[Row], unseen: list[list[str]]
    ) -> list[Score | InvalidRequest]:
        scores = iter(
            scorer.predict([row for row, names in zip(rows, unseen, strict=True) if not names])
        )
        return [
            InvalidRequest(names[0], "holds a value the model never saw") if names else next(scores)
            for names in unseen
        ]

    def _note(self, unseen: list[list[str]], record: Record) -> None:
        names = [name for row in unseen for name in row]
        record.warnings = tuple(f"unseen-category:{name}" for name in dict.fromkeys(names))
        self._metrics.count_unseen(names)

    @staticmethod
    def _describe(response: Response, record: Record) -> None:
        response.headers["Server-Timing"] = (
            f"decode;dur={record.decode_seconds * 1e3:.3f}, "
            f"features;dur={record.features_seconds * 1e3:.3f}, "
            f"predict;dur={record.predict_seconds * 1e3:.3f}"
        )
        if record.warnings:
            response.headers["X-Score-Warnings"] = ", ".join(record.warnings)


def blueprint(slot: Slot, keys: KeyRing, settings: Settings, metrics: Metrics) -> Blueprint:
    """`/reg/`, and `/reg` without a redirect, which would lose the body."""
    routes = Blueprint("reg", __name__)
    require_key(routes, keys)
    route = RegRoute(slot, settings, metrics)
    routes.add_url_rule("/reg/", "post_reg", route.post, methods=["POST"], strict_slashes=False)
    return routes
