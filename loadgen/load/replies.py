"""The check of a reply: its body, not only its status."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct, structs

from loadgen.load.workload import JOBS, PICTURES, SCORED, RequestSpec

# Scores are sums of the same numbers in the same order: only the last digits may differ.
_TOLERANCE: Final = 1e-9
_OTHER_SCORE: Final = "a golden row has another score"


class _Score(Struct):
    negative: float
    positive: float


class _One(Struct):
    body: _Score
    status: str


class _Many(Struct):
    body: list[_Score]
    status: str


class _Refused(Struct):
    body: str
    status: str


class _Answer(Struct):
    answer: bool


class _Answered(Struct):
    body: _Answer
    status: str


class _Job(Struct):
    id: str


class _Accepted(Struct):
    body: _Job
    status: str


_ONE: Final = msgspec.json.Decoder(_One)
_MANY: Final = msgspec.json.Decoder(_Many)
_REFUSED: Final = msgspec.json.Decoder(_Refused)
_DIGIT: Final = msgspec.json.Decoder(str)
_ANSWERED: Final = msgspec.json.Decoder(_Answered)
_ACCEPTED: Final = msgspec.json.Decoder(_Accepted)


def fault(spec: RequestSpec, status: int, body: bytes, model: str | None) -> str | None:
    """The fault of a reply as a label that is the same for the same fault; None if it is right.

    `model` is the version that the reply names.
    """
    if status != spec.status:
        return f"{spec.kind}: status {status}, not {spec.status}"
    try:
        reason = _reason(spec, body, model)
    except msgspec.DecodeError:  # of which ValidationError is one
        return f"{spec.kind}: a body of another form"
    return reason and f"{spec.kind}: {reason}"


def fault_of_result(spec: RequestSpec, status: int, body: bytes, model: str | None) -> str | None:
    """The fault of the result of a job, of the same form as those of `fault`."""
    return fault(structs.replace(spec, status=200), status, body, model)


def job_of(body: bytes) -> str:
    """The id in the reply to a submission that was accepted."""
    return _ACCEPTED.decode(body).body.id


def is_golden(spec: RequestSpec, model: str | None) -> bool:
    """Whether the exact score of the row by this model version is known."""
    return bool(spec.model) and spec.model == model


def wrong_scores(failures: Mapping[str, int]) -> int:
    """The number of golden rows with another score among failures by reason."""
    return sum(failures.get(f"{kind}: {_OTHER_SCORE}", 0) for kind in SCORED | JOBS)


def _reason(spec: RequestSpec, body: bytes, model: str | None) -> str | None:
    if spec.kind in PICTURES:
        return _of_picture(spec, body)
    if spec.status == 200:
        return _scored(spec, body, model)
    return _accepted(body) if spec.status == 202 else _refused(body)


def _of_picture(spec: RequestSpec, body: bytes) -> str | None:
    answer = _DIGIT.decode(body) if spec.kind == "digit" else _ANSWERED.decode(body).body.answer
    return None if answer == spec.answer else "another answer"


def _accepted(body: bytes) -> str | None:
    reply = _ACCEPTED.decode(body)
    return None if reply.status == "ok" and reply.body.id else "accepted without an id"


def _refused(body: bytes) -> str | None:
    reply = _REFUSED.decode(body)
    return None if reply.status == "fail" and reply.body else "refused without a reason"


def _scored(spec: RequestSpec, body: bytes, model: str | None) -> str | None:
    reply: _One | _Many
    if spec.kind == "array":
        reply = _MANY.decode(body)
        scores = reply.body
    else:
        reply = _ONE.decode(body)
        scores = [reply.body]
    if reply.status != "ok" or len(scores) != spec.rows:
        return "not all rows are scored"
    if not all(_adds_up(score) for score in scores):
        return "probabilities that do not add to 1"
    if is_golden(spec, model) and abs(scores[spec.at].positive - spec.positive) > _TOLERANCE:
        return _OTHER_SCORE
    return None


def _adds_up(score: _Score) -> bool:
    within = 0 <= score.positive <= 1 and 0 <= score.negative <= 1
    return within and abs(score.positive + score.negative - 1) <= _TOLERANCE
