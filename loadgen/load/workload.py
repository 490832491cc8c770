"""The workload: requests that are built before the run, each with its expected reply."""

import json
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct, structs

from loadgen.common.errors import BadFile
from loadgen.common.rows import Row, array, singles, tables

Kind: TypeAlias = Literal["single", "array", "bad", "wrong_key", "job", "table", "digit", "query"]
Weight = Annotated[int, Meta(ge=0, le=1000)]

GOLDEN: Final = Path(__file__).parents[1] / "data/golden.jsonl"
SCORED: Final[frozenset[Kind]] = frozenset({"single", "array"})
# Accepted at once and scored later: a body of one row, and a file.
JOBS: Final[frozenset[Kind]] = frozenset({"job", "table"})
# Pictures: of a digit, and of what a query asks for.
PICTURES: Final[frozenset[Kind]] = frozenset({"digit", "query"})
# Rejected: their latency is not the latency of scoring.
REFUSED: Final[frozenset[Kind]] = frozenset({"bad", "wrong_key"})
_JSON: Final = "application/json"
# The model whose rows the generator has.
_MODEL: Final = "regno"
# Enough for all rows of the bundled file.
_COUNT: Final = 4000
# Every tenth single row has a known score.
_GOLDEN_EVERY: Final = 10


class Mix(Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of the kinds of requests, and the rows of an array and of a table."""

    single: Weight = 0
    array: Weight = 0
    bad: Weight = 0
    wrong_key: Weight = 0
    job: Weight = 0
    table: Weight = 0
    digit: Weight = 0
    query: Weight = 0
    array_rows: Annotated[int, Meta(ge=1, le=10_000)] = 10
    table_rows: Annotated[int, Meta(ge=1, le=100_000)] = 1000

    def __post_init__(self) -> None:
        """Reject a mix without weights, and one of requests that different processes answer."""
        kinds = {kind for kind, weight in self.weights().items() if weight}
        if not kinds:
            raise ValueError("a mix needs a weight above zero")
        for others, name in ((JOBS, "jobs and tables"), (PICTURES, "digits and queries")):
            if kinds & others and kinds - others:
                raise ValueError(f"{name} go to other processes: a mix has them alone, or none")

    @property
    def has_jobs(self) -> bool:
        """Whether its requests are jobs."""
        return self.job + self.table > 0

    @property
    def has_pictures(self) -> bool:
        """Whether its requests are pictures."""
        return self.digit + self.query > 0

    def weights(self) -> dict[Kind, int]:
        """The weights by kind."""
        return {
            "single": self.single,
            "array": self.array,
            "bad": self.bad,
            "wrong_key": self.wrong_key,
            "job": self.job,
            "table": self.table,
            "digit": self.digit,
            "query": self.query,
        }


class RequestSpec(Struct, frozen=True):
    """A POST request and its expected reply: the status and the number of scores, `rows`.

    Of a job the status is that of its acceptance; the rest is expected of its result.
    If `model` is given, the row `at` this place is golden: the model of that version gives it the
    score `positive`. A picture has one right `answer`, by any version: a digit as it is replied, or
    yes or no.
    """

    kind: Kind
    body: bytes
    headers: dict[str, str]
    path: str = "/reg/"
    status: int = 200
    rows: int = 1
    at: int = 0
    positive: float = 0.0
    model: str = ""
    answer: str | bool = ""


class Golden(Struct, frozen=True):
    """A row with its known score by a model version."""

    model: str
    positive: float
    request: dict[str, Any]


_UNKNOWN: Final = Golden(model="", positive=0.0, request={})


class _Array(Struct):
    """A body of many rows, and its golden row if it has one."""

    body: bytes
    at: int = 0
    known: Golden = _UNKNOWN


class _Sources(Struct):
    """Endless sources of the bodies of each kind."""

    singles: Iterator[bytes]
    golden: Iterator[tuple[bytes, Golden]] | None
    arrays: Iterator["_Array"]
    bad: Iterator[tuple[bytes, str, int]]
    tables: Iterator[bytes]


def build_requests(
    mix: Mix, rows: Sequence[Row], golden: Sequence[Golden], key: str
) -> list[RequestSpec]:
    """Requests in the proportions of the mix, in an order that is the same each time."""
    random = Random(5)  # noqa: S311 - an order, not a secret
    kinds = random.choices(list(mix.weights()), list(mix.weights().values()), k=_COUNT)
    sources = _Sources(
        cycle(singles(rows)),
        cycle(_known(golden)) if golden else None,
        cycle(_arrays(rows, mix.array_rows, golden)),
        cycle(bad_requests(rows[0])),
        cycle(tables(rows, mix.table_rows)),
    )
    return [_spec(kind, number, sources, mix, key) for number, kind in enumerate(kinds)]


def read_golden(path: Path = GOLDEN) -> list[Golden]:
    """The golden rows; none without the file. Raises BadFile."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Golden(**json.loads(line)) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise BadFile(f"{path}: {error}") from error


def bad_requests(row: Row) -> list[tuple[bytes, str, int]]:
    """Requests that must be rejected: body, content type, status."""
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
    """Arrays with a golden row at different places, which reveals rows that swap places."""
    endless = cycle(rows)
    for number in range(max(2, min(64, 20_000 // size))):
        body = list(islice(endless, size))
        if golden:
            known, at = golden[number % len(golden)], number % size
            body[at] = known.request
            yield _Array(array(body), at, known)
        else:
            yield _Array(array(body))


def _spec(kind: Kind, number: int, sources: _Sources, mix: Mix, key: str) -> RequestSpec:
    headers = {"Content-Type": _JSON, "x-api-key": key}
    if kind == "array":
        many = next(sources.arrays)
        return RequestSpec(
            kind, many.body, headers, rows=mix.array_rows, at=many.at,
            positive=many.known.positive, model=many.known.model,
        )  # fmt: skip
    if kind == "bad":
        body, content_type, status = next(sources.bad)
        return RequestSpec(kind, body, {**headers, "Content-Type": content_type}, status=status)
    if kind == "wrong_key":
        wrong = {**headers, "x-api-key": "not-" + key}
        return RequestSpec(kind, next(sources.singles), wrong, status=401)
    if kind == "table":
        path = f"/jobs?model={_MODEL}&filename=load.csv"
        headers["Content-Type"] = "text/csv"
        return RequestSpec(
            kind, next(sources.tables), headers, path, status=202, rows=mix.table_rows
        )
    body, known = _next_single(number, sources)
    spec = RequestSpec(kind, body, headers, positive=known.positive, model=known.model)
    return _as_job(spec) if kind == "job" else spec


def _next_single(number: int, sources: _Sources) -> tuple[bytes, Golden]:
    if sources.golden and number % _GOLDEN_EVERY == 0:
        return next(sources.golden)
    return next(sources.singles), _UNKNOWN


def _as_job(spec: RequestSpec) -> RequestSpec:
    body = b'{"model": "%s", "input": %s}' % (_MODEL.encode(), spec.body)
    return structs.replace(spec, path="/jobs", body=body, status=202)
