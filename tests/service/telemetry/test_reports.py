"""Reports of errors: their content, their rate, and no cost for good requests."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask import Flask

from model.regno import RegnoScorer
from service.config.settings import Settings
from service.telemetry.error_reports import Allowance, reports
from service.telemetry.record import Record
from service.telemetry.sentry_event import KEYS, report_of
from tests.support.commands import environment
from tests.support.messages import mentions
from tests.support.parts import AppMaker
from tests.support.paths import ROOT

PLATE = "Х777УК799"
KEY = "wL9xQ-planted"
# Nothing listens there.
DSN = "http://public@127.0.0.1:9/1"


def _caught(make: Callable[[], None]) -> Exception:
    try:
        make()
    except Exception as error:  # noqa: BLE001 - any
        return error
    raise AssertionError("it did not raise")


def _raise_with_cause() -> None:
    secrets = {"plate": PLATE, "key": KEY}
    raise RuntimeError(f"{secrets}") from LookupError(PLATE)


@pytest.fixture
def record() -> Record:
    return Record("id-1", "POST", "/reg", "partner", "v7", body_bytes=812)


def test_a_report_has_the_types_the_places_and_the_request(record: Record) -> None:
    report = report_of(_caught(_raise_with_cause), record)
    assert set(report) <= set(KEYS)
    assert report["transaction"] == "POST /reg"
    assert report["tags"] == {
        "request_id": "id-1",
        "method": "POST",
        "route": "/reg",
        "status": "500",
        "key": "partner",
        "model_version": "v7",
    }
    assert report["request"] == {"method": "POST", "headers": {"Content-Length": "812"}}
    oldest, newest = report["exception"]["values"]
    assert (oldest["type"], newest["type"]) == ("LookupError", "RuntimeError")
    last = newest["stacktrace"]["frames"][-1]
    assert last.pop("filename") in str(ROOT / "tests" / "service" / "test_reports.py")
    assert last == {
        "function": "_raise_with_cause",
        "module": __name__,
        "lineno": _raise_with_cause.__code__.co_firstlineno + 2,
        "in_app": False,
    }


def test_a_report_holds_no_text_no_value_and_no_header_but_the_length(record: Record) -> None:
    text = str(report_of(_caught(_raise_with_cause), record))
    assert PLATE not in text
    assert KEY not in text
    assert str(ROOT) not in text
    record.body_bytes = 0
    assert report_of(ValueError(), record)["request"]["headers"] == {}


def test_names_that_look_like_a_plate_are_taken_out(record: Record) -> None:
    kind = type(PLATE, (Exception,), {"__module__": f"made.of.{PLATE}"})
    text = str(report_of(kind(), record))
    assert PLATE not in text
    assert "[plate]" in text


def test_circles_and_long_chains_of_causes_end(record: Record) -> None:
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first
    assert len(report_of(first, record)["exception"]["values"]) == 2
    error: Exception = ValueError()
    for _ in range(20):
        error, error.__cause__ = RuntimeError(), error
    assert len(report_of(error, record)["exception"]["values"]) == 5


def test_a_deep_recursion_is_reported_by_its_last_frames(record: Record) -> None:
    def deeper() -> None:
        deeper()

    frames = report_of(_caught(deeper), record)["exception"]["values"][0]["stacktrace"]
    assert len(frames["frames"]) == 50


def test_ten_at_once_then_ten_a_minute() -> None:
    clock = [100.0]
    allowance = Allowance(lambda: clock[0])
    assert [allowance.take() for _ in range(12)] == [True] * 10 + [False] * 2
    clock[0] += 6.0
    assert [allowance.take() for _ in range(2)] == [True, False]
    clock[0] += 60.0
    assert [allowance.take() for _ in range(11)] == [True] * 10 + [False]
    clock[0] += 86_400.0
    assert sum(allowance.take() for _ in range(50)) == 10


@pytest.fixture
def started() -> Iterator[list[str]]:
    """What is counted of the reports, which have a DSN."""
    counted: list[str] = []
    reports.start(Settings(sentry_dsn=DSN), counted.append)
    yield counted
    reports.stop()


def _calls_of_a_good_request(app: Flask, body: dict[str, Any], key: dict[str, str]) -> int:
    """How many Python functions are entered for a POST /reg/, which is scored.

    The fewest of some: what is done once a second, or for garbage, falls into one of them.
    """
    client = app.test_client()
    assert client.post("/reg/", json=body, headers=key).status_code == 200  # binds what is lazy
    return min(_calls(lambda: client.post("/reg/", json=body, headers=key)) for _ in range(5))


def _calls(post: Callable[[], Any]) -> int:
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        del frame, argument
        counted += event == "call"

    threads = threading.active_count()
    sys.setprofile(count)
    try:
        reply = post()
    finally:
        sys.setprofile(None)
    assert reply.status_code == 200
    assert threading.active_count() == threads
    return counted


def test_a_good_request_costs_the_same_calls_with_a_dsn_as_without(
    make_app: AppMaker,
    request_body: dict[str, Any],
    key: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    without = _calls_of_a_good_request(make_app(), request_body, key)
    request.getfixturevalue("started")
    assert _calls_of_a_good_request(make_app(), request_body, key) == without
    assert without > 20


def test_a_report_that_fails_is_counted_and_costs_the_reply_nothing(
    started: list[str],
    record: Record,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("service.telemetry.error_reports.report_of", _refuse)
    reports.send(ValueError(PLATE), record)
    assert started == ["dropped"]
    assert mentions(caplog.text, "error", "not be reported")


def _refuse(*_: object) -> None:
    raise OSError


def test_an_error_while_scoring_is_reported_once(
    make_app: AppMaker,
    request_body: dict[str, Any],
    key: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[str, str, int]] = []

    def send(error: BaseException, record: Record) -> None:
        sent.append((type(error).__name__, f"{record.method} {record.route}", record.body_bytes))

    def row(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(reports, "send", send)
    monkeypatch.setattr(RegnoScorer, "row", row)
    client = make_app().test_client()
    body = json.dumps(request_body).encode()
    failed = client.post("/reg/", data=body, content_type="application/json", headers=key)
    assert failed.status_code == 500
    assert client.post("/reg/", json={}, headers=key).status_code == 400
    assert client.get("/nowhere").status_code == 404
    assert sent == [("ZeroDivisionError", "POST /reg", len(body))]


def test_without_dsn_and_collector_neither_sdk_is_imported(tmp_path: Path) -> None:
    look = (
        "import sys, service.wsgi, service.server.worker\n"
        "import service.telemetry.logs, service.telemetry.tracing\n"
        "print(sorted({'sentry_sdk', 'opentelemetry'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", look],
        cwd=tmp_path,
        env=environment(tmp_path, {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"
