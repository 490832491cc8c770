"""Jobs of the kind `score`: a body that is scored as over HTTP, of any length."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from msgspec import Struct

from model import InvalidRequest, is_array
from model.json_split import NotAnArray, ends_of_elements
from service.http import reply
from service.jobs.checkpoint import Checkpoint
from service.jobs.execution import Attempt, Result
from service.jobs.models import JobModel, JobModels
from service.jobs.parameters import wants_detail, wants_explanation
from service.scoring.core import STEP_ROWS
from service.telemetry.record import Record

_JSON: Final = "application/json"


class ExplainedScore(Struct):
    """A score with its details and its explanation, None where there is none.

    `unexplained` says why then.
    """

    score: Any
    explanation: Any
    unexplained: str


class ScoreKind:
    """Scores the body of a request to a model's own route.

    The result has the bytes of the reply over HTTP. Parameters: `detail`, 0 or 1; with `explain` 1
    the body is one request, and the result an `ExplainedScore`.
    """

    def __init__(self, models: JobModels) -> None:
        self._models = models

    def run(self, attempt: Attempt) -> Result:
        """Score the body. Raises InvalidRequest."""
        job = attempt.job
        served, detail = self._models.of(job.model), wants_detail(job.parameters)
        record = Record(job.request_id)
        try:
            if wants_explanation(job.parameters):
                body = self._explained(attempt, served, record)
            else:
                body = _reply(attempt, served, record, detail=detail)
        except InvalidRequest as fault:
            served.scoring.refused(fault)
            raise
        served.count_stages(record)
        reference = attempt.blobs.put(job.id, body)
        return Result(reference, _JSON, record.rows, served.live.version)

    def _explained(self, attempt: Attempt, served: JobModel, record: Record) -> bytes:
        request = served.decoder(attempt.blobs.read(attempt.job.input))
        if isinstance(request, list):
            raise InvalidRequest("explain", "is for one request", "range")
        score = served.scoring.one(served.live, request, record, detail=True)
        explanation, reason = self._models.explanation(served, request)
        return reply.ok(ExplainedScore(score, explanation, reason)).body


def _reply(attempt: Attempt, served: JobModel, record: Record, *, detail: bool) -> bytes:
    body, decoder = attempt.blobs.read(attempt.job.input), served.decoder
    if is_array(body):
        array = _Array(attempt, served, record, body)
        return array.reply(decoder.slices(body), detail=detail)
    decoded = decoder(body)
    if isinstance(decoded, list):
        array = _Array(attempt, served, record, body)
        return array.reply(iter([decoded]), detail=detail)
    return reply.ok(served.scoring.one(served.live, decoded, record, detail=detail)).body


class _Array:
    """An array that is scored step by step, from the checkpoint on."""

    def __init__(self, attempt: Attempt, served: JobModel, record: Record, body: bytes) -> None:
        self._body = body
        self._attempt = attempt
        self._served = served
        self._record = record
        self._checkpoint = Checkpoint.of(attempt, served.live.version)
        self._saved = self._checkpoint.done
        self._unsaved: list[bytes] = []

    def reply(self, slices: Iterator[list[Any]], *, detail: bool) -> bytes:
        """Score the rows that are left, and return the reply to all."""
        rest, live = _without(slices, self._checkpoint.done), self._served.live
        for outcomes in self._served.scoring.array(live, rest, self._record, detail=detail):
            if outcomes:
                self._add(outcomes)
        self._record.rows = self._checkpoint.done
        saved = map(self._attempt.blobs.read, self._checkpoint.parts)
        return reply.ok_of_parts([*saved, *self._unsaved], partial=self._checkpoint.partial).body

    def _add(self, outcomes: list[Any]) -> None:
        checkpoint = self._checkpoint
        self._unsaved.append(reply.encode_elements(outcomes))
        checkpoint.done += len(outcomes)
        checkpoint.partial |= any(isinstance(row, InvalidRequest) for row in outcomes)
        # No checkpoint within a step: an attempt that resumes there would score other batches.
        is_step = checkpoint.done % STEP_ROWS == 0
        if is_step and self._attempt.is_to_save(checkpoint.done - self._saved):
            checkpoint.save(self._attempt, b",".join(self._unsaved), self._total)
            self._saved = checkpoint.done
            self._unsaved.clear()

    @cached_property
    def _total(self) -> int:
        """The rows of the array; 0 if it is in a form in which they can't be counted quickly."""
        try:
            return sum(map(len, ends_of_elements(self._body.strip())))
        except NotAnArray:
            return 0


def _without(slices: Iterator[list[Any]], rows: int) -> Iterator[list[Any]]:
    """Give the requests behind the first `rows`."""
    for items in slices:
        yield items[rows:]
        rows = max(0, rows - len(items))
