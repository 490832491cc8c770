"""The objectives and limits of `slo.toml`, read with types and exact errors."""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

PATH: Final = Path(__file__).with_name("slo.toml")

# A duration as Prometheus writes it, in one unit.
Duration = Annotated[str, Meta(pattern="^[1-9][0-9]*[smhd]$")]
# A share between 0 and 1, both excluded.
Share = Annotated[float, Meta(gt=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class SloError(Exception):
    """An invalid value; the text names the file and the key."""


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: an unknown key is an error."""


class Objective(_Table, frozen=True):
    """The objectives and their window."""

    window: Duration
    availability: Share
    latency: Share
    latency_seconds: Positive


class Burn(_Table, frozen=True, rename={"sustained": "for"}):
    """A pair of windows with the burn rate that fires in both."""

    severity: Literal["page", "ticket"]
    factor: Positive
    long: Duration
    short: Duration
    sustained: Duration


class Traffic(_Table, frozen=True):
    """The limits of alerts on requests."""

    min_bad_requests: Count
    silent_for: Duration
    expected_requests: Count
    shed_ratio: Share
    refused_ratio: Share
    failed_ratio: Share
    min_rows: Count


class Saturation(_Table, frozen=True, rename={"sustained": "for"}):
    """The limits of saturation; the CPU ratio is of one core per worker."""

    cpu_ratio: Share
    in_flight_per_worker: Count
    sustained: Duration


class Process(_Table, frozen=True):
    """The limits of alerts on processes."""

    scrapes_missing_for: Duration
    outages: Count
    restarts_go_on_for: Duration
    restarts_per_worker: Count
    workers_missing_for: Duration
    memory_growth: Annotated[float, Meta(gt=1)]
    memory_floor_bytes: Count
    versions_mixed_for: Duration
    live_refused_for: Duration
    background_fails_for: Duration
    log_lines_dropped_for: Duration
    capture_lost_ratio: Share
    capture_lost_for: Duration
    spool_bytes: Count
    spool_for: Duration
    review_seconds: Count
    review_for: Duration
    registry_unreachable_for: Duration
    keys_refused_for: Duration


class Drift(_Table, frozen=True):
    """The limits of drift from the training data."""

    warn: Positive
    alert: Positive
    min_share: Share
    min_rows: Count
    unseen_ratio: Share
    doubtful_ratio: Share
    calendar_variables: tuple[str, ...]


class Jobs(_Table, frozen=True):
    """The limits of alerts on jobs and on requests over AMQP."""

    waiting_seconds: Positive
    waiting_for: Duration
    no_worker_for: Duration
    webhook_seconds: Positive
    webhook_for: Duration
    away_for: Duration
    no_consumer_for: Duration


class Stores(_Table, frozen=True):
    """The limits of alerts on stores of decisions."""

    lag_seconds: Positive
    lag_for: Duration


class Pictures(_Table, frozen=True, rename={"sustained": "for"}):
    """The limits of alerts on pictures and the processes that score them."""

    down_for: Duration
    missing_for: Duration
    restarts: Count
    failed_ratio: Share
    busy_ratio: Share
    p99_seconds: Positive
    sustained: Duration
    refused_ratio: Share
    refused_for: Duration
    min_pictures: Count


class Quality(_Table, frozen=True):
    """The limits of alerts on the quality of decisions."""

    evidence: Annotated[float, Meta(gt=1)]
    labels_missing_for: Duration
    unmeasured_for: Duration

    @property
    def labels_missing_seconds(self) -> int:
        """`labels_missing_for` in seconds."""
        return seconds(self.labels_missing_for)

    @property
    def unmeasured_seconds(self) -> int:
        """`unmeasured_for` in seconds."""
        return seconds(self.unmeasured_for)


class PictureTest(_Table, frozen=True):
    """The limits of load tests with pictures, which the load generator reads."""

    min_rate_ratio: Share
    min_requests: Count
    max_error_ratio: Share
    p50_ms: Positive
    p95_ms: Positive
    p99_ms: Positive


class LoadTest(PictureTest, frozen=True):
    """The limits of load tests with rows, and what they are for."""

    target_requests_per_second: Positive


class JobTest(_Table, frozen=True):
    """The limits of load tests with jobs: of their acceptance, and of their end."""

    min_rate_ratio: Share
    min_requests: Count
    max_error_ratio: Share
    accepted_p50_ms: Positive
    accepted_p99_ms: Positive
    finished_p50_ms: Positive
    finished_p99_ms: Positive


class Slo(_Table, frozen=True):
    """The whole file."""

    runbook: Annotated[str, Meta(min_length=1)]
    objective: Objective
    burn: Annotated[tuple[Burn, ...], Meta(min_length=1)]
    traffic: Traffic
    saturation: Saturation
    process: Process
    jobs: Jobs
    stores: Stores
    pictures: Pictures
    quality: Quality
    drift: Drift
    load_test: LoadTest
    job_test: JobTest
    digit_test: PictureTest
    query_test: PictureTest


def seconds(duration: str) -> int:
    """The seconds of a duration such as "5m"."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def load(path: Path = PATH) -> Slo:
    """Read the file and check it. Raises SloError."""
    try:
        with path.open("rb") as file:
            slo = msgspec.convert(tomllib.load(file), Slo)
    except OSError as error:
        raise SloError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SloError(f"{path}: is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise SloError(f"{path}: {_explain(str(error))}") from error
    if wrong := _contradiction(slo):
        raise SloError(f"{path}: {wrong}")
    return slo


def _explain(message: str) -> str:
    """msgspec's "reason - at `$.table.key`" with the place first and without its `$.`."""
    reason, _, place = message.partition(" - at ")
    return f"{place.strip('`').removeprefix('$.') or 'the file'}: {reason}"


def _contradiction(slo: Slo) -> str:
    """The contradictions between values; empty if there are none."""
    for number, burn in enumerate(slo.burn):
        if seconds(burn.short) >= seconds(burn.long):
            return f"burn[{number}].short: {burn.short} is not shorter than long, {burn.long}"
        for name in ("availability", "latency"):
            budget = 1 - getattr(slo.objective, name)
            if burn.factor * budget >= 1:
                return f"burn[{number}].factor: {burn.factor} × {name}'s budget is never exceeded"
    if slo.drift.warn >= slo.drift.alert:
        return f"drift.warn: {slo.drift.warn} is not below drift.alert, {slo.drift.alert}"
    for name in ("load_test", "digit_test", "query_test"):
        test = getattr(slo, name)
        if not test.p50_ms <= test.p95_ms <= test.p99_ms:
            return f"{name}.p50_ms: p50, p95 and p99 must not fall"
    for what in ("accepted", "finished"):
        p50, p99 = (getattr(slo.job_test, f"{what}_p{share}_ms") for share in (50, 99))
        if p50 > p99:
            return f"job_test.{what}_p50_ms: {p50} exceeds {what}_p99_ms, {p99}"
    return ""
