"""The limits of the verdict, from the file that the alerts are made from."""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from loadgen.common.errors import BadFile

Content = TypeVar("Content")

# Read, not imported: the generator imports no other package of the repository.
PATH: Final = Path(__file__).parents[2] / "monitoring/slo.toml"

LimitsName: TypeAlias = Literal["load_test", "objective", "job_test", "digit_test", "query_test"]
# The limits of pictures.
PICTURE_TESTS: Final[frozenset[LimitsName]] = frozenset({"digit_test", "query_test"})
Share = Annotated[float, Meta(gt=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]


class Limits(Struct, frozen=True):
    """The least rate and number of requests of a stage, and its greatest error ratio and times.

    `percentiles_ms` maps a share of the requests to their greatest latency, `finished_ms` a share
    of the jobs to their greatest time until the end.
    """

    min_rate_ratio: float
    min_requests: int
    max_error_ratio: float
    percentiles_ms: dict[float, float]
    finished_ms: dict[float, float] = {}


class _LoadTest(Struct, frozen=True):
    min_rate_ratio: Share
    min_requests: Annotated[int, Meta(ge=1)]
    max_error_ratio: Share
    p50_ms: Positive
    p95_ms: Positive
    p99_ms: Positive


class _JobTest(Struct, frozen=True):
    min_rate_ratio: Share
    min_requests: Annotated[int, Meta(ge=1)]
    max_error_ratio: Share
    accepted_p50_ms: Positive
    accepted_p99_ms: Positive
    finished_p50_ms: Positive
    finished_p99_ms: Positive


class _Objective(Struct, frozen=True):
    availability: Share
    latency: Share
    latency_seconds: Positive


class _File(Struct, frozen=True):
    """The tables that are used; the file has more."""

    load_test: _LoadTest
    job_test: _JobTest
    digit_test: _LoadTest
    query_test: _LoadTest
    objective: _Objective


def read(path: Path = PATH) -> dict[LimitsName, Limits]:
    """The limits by name. Raises BadFile."""
    content = read_toml(path, _File)
    return {
        "load_test": _of_test(content.load_test),
        "objective": _of_objective(content),
        "job_test": _of_jobs(content.job_test),
        "digit_test": _of_test(content.digit_test),
        "query_test": _of_test(content.query_test),
    }


def _of_test(test: _LoadTest) -> Limits:
    percentiles = {0.5: test.p50_ms, 0.95: test.p95_ms, 0.99: test.p99_ms}
    return Limits(test.min_rate_ratio, test.min_requests, test.max_error_ratio, percentiles)


def _of_jobs(test: _JobTest) -> Limits:
    accepted = {0.5: test.accepted_p50_ms, 0.99: test.accepted_p99_ms}
    finished = {0.5: test.finished_p50_ms, 0.99: test.finished_p99_ms}
    return Limits(test.min_rate_ratio, test.min_requests, test.max_error_ratio, accepted, finished)


def _of_objective(content: _File) -> Limits:
    """The objectives of the service, for rates that it must sustain."""
    objective, test = content.objective, content.load_test
    return Limits(
        test.min_rate_ratio,
        test.min_requests,
        1 - objective.availability,
        {objective.latency: objective.latency_seconds * 1000},
    )


def read_toml(path: Path, kind: type[Content]) -> Content:
    """The content of a TOML file. Raises BadFile, which names the file and the key."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadFile(f"{path}: {error}") from error
