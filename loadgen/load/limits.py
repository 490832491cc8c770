"""The numbers of the verdict, out of the one file that the alerts are made from."""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from loadgen.common.errors import BadFile

Content = TypeVar("Content")

# Read, not imported: the generator knows no other room, and stands alone in its container.
PATH: Final = Path(__file__).parents[2] / "monitoring/slo.toml"

LimitsName: TypeAlias = Literal["load_test", "objective"]
Share = Annotated[float, Meta(gt=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]


class Limits(Struct, frozen=True):
    """What a stage must show: at least this rate and number, at most these errors and times.

    `percentiles_ms` maps a share of the requests to the time that they may take at most.
    """

    min_rate_ratio: float
    min_requests: int
    max_error_ratio: float
    percentiles_ms: dict[float, float]


class _LoadTest(Struct, frozen=True):
    min_rate_ratio: Share
    min_requests: Annotated[int, Meta(ge=1)]
    max_error_ratio: Share
    p50_ms: Positive
    p95_ms: Positive
    p99_ms: Positive


class _Objective(Struct, frozen=True):
    availability: Share
    latency: Share
    latency_seconds: Positive


class _File(Struct, frozen=True):
    """The two tables that are needed; the file holds more."""

    load_test: _LoadTest
    objective: _Objective


def read(path: Path = PATH) -> dict[LimitsName, Limits]:
    """The limits by name. Raises BadFile."""
    content = read_toml(path, _File)
    return {"load_test": _of_test(content.load_test), "objective": _of_promise(content)}


def _of_test(test: _LoadTest) -> Limits:
    percentiles = {0.5: test.p50_ms, 0.95: test.p95_ms, 0.99: test.p99_ms}
    return Limits(test.min_rate_ratio, test.min_requests, test.max_error_ratio, percentiles)


def _of_promise(content: _File) -> Limits:
    """What clients are promised: where there is no rate to be quick at, only one to bear."""
    promise, test = content.objective, content.load_test
    return Limits(
        test.min_rate_ratio,
        test.min_requests,
        1 - promise.availability,
        {promise.latency: promise.latency_seconds * 1000},
    )


def read_toml(path: Path, kind: type[Content]) -> Content:
    """The file as a `kind`. Raises BadFile, which names the file and the place in it."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadFile(f"{path}: {error}") from error
