"""A client made by openapi-python-client: what mypy lets pass here, a caller can write."""

import json
import sys
from pathlib import Path
from typing import TypeAlias

from plate_scoring_client import AuthenticatedClient
from plate_scoring_client.api.default import post_explain, post_reg
from plate_scoring_client.models import (
    Detail,
    ErrorReply,
    Explanation,
    ExplanationReply,
    ImplausibleTime,
    LengthMismatch,
    LookalikeLetters,
    OutOfRange,
    PostRegDetail,
    Reading,
    ReadingsAgree,
    RowError,
    Score,
    ScoreReply,
    UnseenCategory,
)

url, key, file = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key, prefix="", auth_header_name="x-api-key")
example = Reading.from_dict(json.loads(Path(file).read_text(encoding="utf-8")))
as_numbers = Reading.from_dict(example.to_dict())
as_numbers.recognition_accuracy = 6.4
as_numbers.afts_regno_ai_score = "0.5"
as_numbers.afts_regno_ai_char_scores = [0.9, 1.0]
as_numbers.direction = "1"
unseen = Reading.from_dict({**example.to_dict(), "camera_class": "Неведомая"})


def scored(row: Detail | Score | RowError) -> float:
    if isinstance(row, RowError):
        raise TypeError(row.error)
    return row.positive


Doubt: TypeAlias = (
    UnseenCategory
    | LookalikeLetters
    | OutOfRange
    | LengthMismatch
    | ImplausibleTime
    | ReadingsAgree
)


def described(doubt: Doubt) -> str:
    if isinstance(doubt, UnseenCategory):
        nearest: str | None = doubt.nearest
        return f"{doubt.kind} {doubt.feature} {'string' if nearest else 'object'}"
    if isinstance(doubt, OutOfRange):
        return f"{doubt.kind} {doubt.least <= doubt.greatest}"
    return doubt.kind if isinstance(doubt, ReadingsAgree) else f"{doubt.kind} {doubt.field}"


one = post_reg.sync(client=client, body=example)
assert isinstance(one, ScoreReply)
assert isinstance(one.body, Score)
many = post_reg.sync(client=client, body=[example.to_dict(), as_numbers.to_dict(), {}])
assert isinstance(many, ScoreReply)
assert isinstance(many.body, list)
first, second, third = many.body
assert isinstance(third, RowError)
detailed = post_reg.sync(client=client, body=unseen, detail=PostRegDetail.VALUE_1)
assert isinstance(detailed, ScoreReply)
assert isinstance(detailed.body, Detail)
explained = post_explain.sync(client=client, body=example)
assert isinstance(explained, ExplanationReply)
assert isinstance(explained.body, Explanation)
too_long = Reading.from_dict({**example.to_dict(), "camera_type": "x" * 1001})
refused = post_reg.sync(client=client, body=too_long)
assert isinstance(refused, ErrorReply)
sys.stdout.write(
    json.dumps(
        {
            "positive": one.body.positive,
            "rows": [scored(first), scored(second), third.error],
            "decision": detailed.body.decision.value,
            "doubts": [described(doubt) for doubt in detailed.body.warnings],
            "features": len(explained.body.features),
            "refused": [refused.status.value, refused.body],
        }
    )
)
