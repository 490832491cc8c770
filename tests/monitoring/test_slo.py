"""slo.toml is read in full, and errors name their place."""

from pathlib import Path

import msgspec
import pytest

from monitoring import slo

_TEXT = slo.PATH.read_text("utf-8")


def test_the_objectives_are_those_that_were_promised() -> None:
    read = slo.load()
    assert read.objective == slo.Objective("30d", 0.999, 0.99, 0.05)
    pairs = [(b.severity, b.factor, b.long, b.short, b.sustained) for b in read.burn]
    assert pairs == [
        ("page", 14.4, "1h", "5m", "2m"),
        ("page", 6, "6h", "30m", "15m"),
        ("ticket", 3, "1d", "2h", "1h"),
        ("ticket", 1, "3d", "6h", "3h"),
    ]
    assert (read.drift.warn, read.drift.alert) == (0.1, 0.25)
    assert read.load_test.target_requests_per_second == 500
    assert read.load_test.p99_ms == 25


def test_a_load_test_may_fail_no_more_than_the_service() -> None:
    read = slo.load()
    assert read.load_test.max_error_ratio == pytest.approx(1 - read.objective.availability)


def test_the_latency_target_is_a_bound_of_the_histogram() -> None:
    bounds = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25)
    assert slo.load().objective.latency_seconds in bounds


@pytest.mark.parametrize(
    ("duration", "seconds"), [("15s", 15), ("5m", 300), ("1h", 3600), ("30d", 2_592_000)]
)
def test_durations_are_those_of_prometheus(duration: str, seconds: int) -> None:
    assert slo.seconds(duration) == seconds


_WRONG = {
    "availability = 0.999": [
        ("availability = 99.9", "objective.availability: Expected `float` < 1.0"),
        ("availability = 1", "objective.availability: Expected `float` < 1.0"),
        ('availability = "high"', "objective.availability: Expected `float`, got `str`"),
        ("avialability = 0.999", "objective: Object contains unknown field `avialability`"),
        ("", "objective: Object missing required field `availability`"),
        ("availability = 0.92", "burn[0].factor: 14.4 × availability's budget is never exceeded"),
    ],
    'window = "30d"': [
        ('window = "a month"', "objective.window: Expected `str` matching regex"),
        ('window = "0d"', "objective.window: Expected `str` matching regex"),
    ],
    'severity = "page"': [('severity = "sms"', "burn[0].severity: Invalid enum value 'sms'")],
    'long = "1h"': [('long = "5m"', "burn[0].short: 5m is not shorter than long, 5m")],
    "warn = 0.1 ": [("warn = 0.3 ", "drift.warn: 0.3 is not below drift.alert, 0.25")],
    "p50_ms = 10": [("p50_ms = 30", "load_test.p50_ms: p50, p95 and p99 must not fall")],
    "finished_p50_ms = 1000": [
        (
            "finished_p50_ms = 6000",
            "job_test.finished_p50_ms: 6000.0 exceeds finished_p99_ms, 5000.0",
        )
    ],
    "[drift]": [("[dirft]", "the file: Object contains unknown field `dirft`")],
    "[objective]": [("[objective", "is not TOML: Expected ']'")],
}


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [(line, wrong, message) for line, cases in _WRONG.items() for wrong, message in cases],
)
def test_a_wrong_number_is_named(line: str, wrong: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "slo.toml"
    assert line in _TEXT
    path.write_text(_TEXT.replace(line, wrong, 1), "utf-8")
    with pytest.raises(slo.SloError) as raised:
        slo.load(path)
    assert str(raised.value).startswith(f"{path}: {message}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(slo.SloError, match=r"none\.toml: No such file or directory"):
        slo.load(tmp_path / "none.toml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "slo.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(slo.SloError, match=r"slo\.toml: is not TOML"):
        slo.load(path)


def test_what_is_read_can_be_changed_only_as_a_copy() -> None:
    read = slo.load()
    with pytest.raises(AttributeError):
        read.drift.warn = 0.5  # type: ignore[misc]
    assert msgspec.structs.replace(read.drift, warn=0.2).warn == 0.2
