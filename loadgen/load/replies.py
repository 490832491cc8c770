"""The check of a reply: its body, not only its status."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from loadgen.load.workload import SCORED, RequestSpec

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


_ONE: Final = msgspec.json.Decoder(_One)
_MANY: Final = msgspec.json.Decoder(_Many)
_REFUSED: Final = msgspec.json.Decoder(_Refused)


def fault(spec: RequestSpec, status: int, body: bytes, model: str | None) -> str | None:
    """The fault of a reply as a label that is the same for the same fault; None if it is right.

    `model` is the version that the reply names.
    """
    if status != spec.status:
        return f"{spec.kind}: status {status}, not {spec.status}"
    try:
        reason = _refused(body) if spec.status != 200 else _scored(spec, body, model)
    except msgspec.DecodeError:  # of which ValidationError is one
        return f"{spec.kind}: a body of another form"
    return reason and f"{spec.kind}: {reason}"


def is_golden(spec: RequestSpec, model: str | None) -> bool:
    """Whether the exact score of the row by this model version is known."""
    return bool(spec.model) and spec.model == model


def wrong_scores(failures: Mapping[str, int]) -> int:
    """The number of golden rows with another score among failures by reason."""
    return sum(failures.get(f"{kind}: {_OTHER_SCORE}", 0) for kind in SCORED)


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
