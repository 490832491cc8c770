"""What is sent: bodies made before the run, each with the reply that is right for it."""

import json
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from loadgen.common.errors import BadFile
from loadgen.common.rows import Row, array, singles

Kind: TypeAlias = Literal["single", "array", "bad", "wrong_key"]
Weight = Annotated[int, Meta(ge=0, le=1000)]

GOLDEN: Final = Path(__file__).parents[1] / "data/golden.jsonl"
# Refused for what the caller did, as no scored request is: they say nothing of its time.
SCORED: Final[frozenset[Kind]] = frozenset({"single", "array"})
_JSON: Final = "application/json"
# Long enough for all rows of the bundled file to come up, in an order that is always the same.
_DECK: Final = 4000
# Of single rows every tenth has a score that is known.
_GOLDEN_EVERY: Final = 10


class Mix(Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of the kinds of requests, and how many rows an array has."""

    single: Weight = 0
    array: Weight = 0
    bad: Weight = 0
    wrong_key: Weight = 0
    array_rows: Annotated[int, Meta(ge=1, le=10_000)] = 10

    def __post_init__(self) -> None:
        """Refuse a mix of nothing."""
        if not sum(self.weights().values()):
            raise ValueError("a mix needs a weight above zero")

    def weights(self) -> dict[Kind, int]:
        """The weights by kind."""
        return {
            "single": self.single,
            "array": self.array,
            "bad": self.bad,
            "wrong_key": self.wrong_key,
        }


class RequestSpec(Struct, frozen=True):
    """One request and what must come back: a status, `rows` scores, for a golden row which.

    The golden row is the one `at` this place of an array, and its `positive` that of the model
    of version `model`, of no other.
    """

    kind: Kind
    body: bytes
    headers: dict[str, str]
    status: int = 200
    rows: int = 1
    at: int = 0
    positive: float = 0.0
    model: str = ""


class Golden(Struct, frozen=True):
    """A row whose score is known for the model of this version."""

    model: str
    positive: float
    request: dict[str, Any]


_UNKNOWN: Final = Golden(model="", positive=0.0, request={})


class _Array(Struct):
    """A body of many rows, and which of them is golden if one is."""

    body: bytes
    at: int = 0
    known: Golden = _UNKNOWN


class _Hand(Struct):
    """What the asks of each kind are taken from, endlessly."""

    singles: Iterator[bytes]
    golden: Iterator[tuple[bytes, Golden]] | None
    arrays: Iterator["_Array"]
    bad: Iterator[tuple[bytes, str, int]]


def build_requests(
    mix: Mix, rows: Sequence[Row], golden: Sequence[Golden], key: str
) -> list[RequestSpec]:
    """Requests in the proportions of the mix, shuffled alike each time; dealt round and round."""
    random = Random(5)  # noqa: S311 - an order, not a secret
    kinds = random.choices(list(mix.weights()), list(mix.weights().values()), k=_DECK)
    hand = _Hand(
        cycle(singles(rows)),
        cycle(_known(golden)) if golden else None,
        cycle(_arrays(rows, mix.array_rows, golden)),
        cycle(bad_requests(rows[0])),
    )
    return [_ask(kind, number, hand, mix, key) for number, kind in enumerate(kinds)]


def read_golden(path: Path = GOLDEN) -> list[Golden]:
    """The rows whose scores are known; none without the file. Raises BadFile."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Golden(**json.loads(line)) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise BadFile(f"{path}: {error}") from error


def bad_requests(row: Row) -> list[tuple[bytes, str, int]]:
    """What must be refused: body, content type, and with which status."""
    lacking = {name: value for name, value in row.items() if name != "camera_type"}
    changes: list[Any] = [
        {**row, "recognition_accuracy": 101.0},
        {**row, "afts_regno_ai_char_scores": "[0.5, oops]"},
        {**row, "time_check": "yesterday"},
        lacking,
        "not an object",
    ]
    (whole,) = singles([row])
    return [
        *((json.dumps(change, ensure_ascii=False).encode(), _JSON, 400) for change in changes),
        (whole[:-1], _JSON, 400),
        (whole, "text/plain", 415),
    ]


def _known(golden: Sequence[Golden]) -> list[tuple[bytes, Golden]]:
    return list(zip(singles([one.request for one in golden]), golden, strict=True))


def _arrays(rows: Sequence[Row], size: int, golden: Sequence[Golden]) -> Iterator[_Array]:
    """Each with a golden row at another place: rows that change places are found out."""
    endless = cycle(rows)
    for number in range(max(2, min(64, 20_000 // size))):
        body = list(islice(endless, size))
        if golden:
            known, at = golden[number % len(golden)], number % size
            body[at] = known.request
            yield _Array(array(body), at, known)
        else:
            yield _Array(array(body))


def _ask(kind: Kind, number: int, hand: _Hand, mix: Mix, key: str) -> RequestSpec:
    headers = {"Content-Type": _JSON, "x-api-key": key}
    if kind == "array":
        many = next(hand.arrays)
        return RequestSpec(
            *(kind, many.body, headers, 200, mix.array_rows),
            *(many.at, many.known.positive, many.known.model),
        )
    if kind == "bad":
        body, content_type, status = next(hand.bad)
        return RequestSpec(kind, body, {**headers, "Content-Type": content_type}, status)
    if kind == "wrong_key":
        return RequestSpec(kind, next(hand.singles), {**headers, "x-api-key": "not-" + key}, 401)
    if hand.golden and number % _GOLDEN_EVERY == 0:
        body, known = next(hand.golden)
        return RequestSpec(kind, body, headers, positive=known.positive, model=known.model)
    return RequestSpec(kind, next(hand.singles), headers)
