"""The log is one line a record, in JSON or columns: no plate, no key, no exception's text."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from select import PIPE_BUF
from typing import Any

import pytest

from service.config.settings import Settings
from service.telemetry.log_formats import Form, HumanForm, JsonForm, timestamp
from service.telemetry.log_lines import Lines, lines_of
from service.telemetry.record import Record, method_of
from tests.support.messages import mentions
from tests.support.parts import logger_of

PLATE = "Х777УК799"
FORMS = [JsonForm(), HumanForm(colour=False)]
CLEAR, YELLOW, RED = "\x1b[0m", "\x1b[33m", "\x1b[31m"


def _message(
    text: str, *arguments: object, level: int = logging.INFO, error: Any = None
) -> logging.LogRecord:
    return logging.LogRecord("gunicorn.error", level, "f", 1, text, arguments, error)


@pytest.mark.parametrize("form", FORMS)
def test_an_exception_is_reported_by_its_type_only(form: Form) -> None:
    try:
        int(PLATE)
    except ValueError as error:
        with_trace = form.message(_message("it %s", "broke", error=sys.exc_info())).decode()
        as_argument = form.message(_message("it broke: %s", error)).decode()
    for line in (with_trace, as_argument):
        assert "it broke" in line
        assert "ValueError" in line
        assert PLATE not in line
        assert "invalid literal" not in line


@pytest.mark.parametrize("form", FORMS)
def test_a_plate_in_a_message_is_taken_out(form: Form) -> None:
    line = form.message(_message("%s is not a setting", f"SCORING_{PLATE}")).decode()
    assert PLATE not in line
    assert "[plate]" in line


HOSTILE = [
    'a\n{"level":"error"}\r\n"',
    "\x1b[2J\x1b[31mred\x07\x08\x7f",
    "next\x85line\x0bfeed\x0cform\x1c\x1d\x1e",
    "a\u2028b\u2029c",
    "\u202eturned\u2066\u200f",
    "\x9b31mC1",
    "lone \udc80 surrogate",
    "\x00",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_a_line_or_moves_a_cursor(text: str, form: Form) -> None:
    line = form.message(_message("%s", text)).decode()
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert line[:-1].isprintable() or (isinstance(form, JsonForm) and "\x7f" in line)


@pytest.mark.parametrize("text", HOSTILE)
def test_json_gives_the_text_back(text: str) -> None:
    assert json.loads(JsonForm().message(_message("%s", text)))["message"] == text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("character", ["a", "я", "\n", "\x1b", "🚗", '"'])
def test_a_line_is_never_longer_than_what_a_pipe_takes_whole(character: str, form: Form) -> None:
    for length in (PIPE_BUF // 8, PIPE_BUF - 100, PIPE_BUF, 100_000):
        line = form.message(_message("%s", character * length))
        assert len(line) <= PIPE_BUF


def test_a_message_with_a_wrong_number_of_arguments_is_reported_as_it_is() -> None:
    assert json.loads(JsonForm().message(_message("%s of %s", "one")))["message"] == "%s of %s"


@pytest.fixture
def record() -> Record:
    return Record("id-1", "POST", "/reg", "partner", "v7", rows=3)


Log = Callable[..., list[str]]


@pytest.fixture
def log(record: Record) -> Iterator[Log]:
    """Logs answered requests and gives the lines."""
    reader, writer = os.pipe()

    def answer(form: Form, *statuses: int, share: float = 1.0) -> list[str]:
        logger = logger_of(Lines(writer, form), share)
        for number, status in enumerate(statuses):
            if share < 1:
                record.request_id = f"id-{number}"
            record.status, record.seconds = status, 0.001234
            logger.answered([record])
        os.write(writer, b"\n")
        return os.read(reader, 1 << 20).decode().splitlines()[:-1]

    yield answer
    os.close(reader)
    os.close(writer)


def test_an_answered_request_is_one_json_object(log: Log) -> None:
    (line,) = log(JsonForm(), 200)
    logged = json.loads(line)
    assert logged.pop("time").endswith("Z")
    assert logged == {
        "level": "info",
        "logger": "access",
        "request_id": "id-1",
        "method": "POST",
        "route": "/reg",
        "status": 200,
        "ms": 1.234,
        "key": "partner",
        "model_version": "v7",
        "rows": 3,
        "warnings": [],
    }


def test_levels_follow_the_status_and_the_warnings(log: Log, record: Record) -> None:
    lines = [json.loads(line)["level"] for line in log(JsonForm(), 200, 302, 404, 500, 503)]
    assert lines == ["info", "info", "warning", "error", "error"]
    record.warn(["unseen-category:camera_class"])
    (line,) = log(JsonForm(), 200)
    assert json.loads(line)["level"] == "warning"
    assert json.loads(line)["warnings"] == ["unseen-category:camera_class"]


@pytest.mark.parametrize("method", ["X777XX799", "BREW", "get"])
def test_a_method_that_a_client_made_up_is_not_logged(
    method: str, record: Record, log: Log
) -> None:
    record.method = method_of(method)
    (line,) = log(JsonForm(), 405)
    assert json.loads(line)["method"] == "other"


def test_of_rejected_requests_ten_a_second_have_a_line_and_the_rest_are_counted(
    record: Record,
) -> None:
    reader, writer = os.pipe()
    logger = logger_of(Lines(writer, JsonForm()))

    def logged(rejected: int) -> list[str]:
        record.status = 429
        logger.answered([record] * rejected)
        logger.tick()
        lines = [json.loads(line) for line in os.read(reader, 1 << 20).splitlines()]
        return [line.get("message") or f"{line['status']}" for line in lines]

    try:
        *single, rest = logged(12)
        assert single == ["429"] * 10
        assert mentions(rest, "2 more requests", "429")
        assert logged(10) == ["429"] * 10
    finally:
        os.close(reader)
        os.close(writer)


def test_of_good_lines_the_share_is_kept_and_says_so(log: Log) -> None:
    lines = [json.loads(line) for line in log(JsonForm(), *[200] * 4000, share=0.05)]
    assert {line["sampled"] for line in lines} == {0.05}
    # 200 expected; the deviation is 14, and ids are hashed anew in each run of the tests.
    assert 120 < len(lines) < 280
    assert 2400 < sum(1 / line["sampled"] for line in lines) < 5600


def test_one_id_is_always_kept_or_never(log: Log) -> None:
    kept = {json.loads(line)["request_id"] for line in log(JsonForm(), *[200] * 200, share=0.5)}
    again = {json.loads(line)["request_id"] for line in log(JsonForm(), *[200] * 200, share=0.5)}
    assert kept == again
    assert 50 < len(kept) < 150


def test_no_share_of_good_lines_leaves_the_others(log: Log, record: Record) -> None:
    statuses = [200, 201, 204, 302, 400, 404, 500]
    lines = [json.loads(line) for line in log(JsonForm(), *statuses, share=0.0)]
    assert [line["status"] for line in lines] == [302, 400, 404, 500]
    assert not [line for line in lines if "sampled" in line]
    record.warn(["unseen-category:camera_type"])
    assert len(log(JsonForm(), 200, share=0.0)) == 1


def test_columns_for_a_person(log: Log, record: Record) -> None:
    good, bad = log(HumanForm(colour=False), 200, 400)
    assert good[12:] == " info     POST    /reg         200     1.234 ms     3 rows  partner"
    assert bad[12:] == " warning  POST    /reg         400     1.234 ms     3 rows  partner  id-1"
    record.warn(["unseen-category:camera_class"])
    (warned,) = log(HumanForm(colour=False), 200)
    assert warned.endswith(" partner      unseen-category:camera_class  id-1")
    line = HumanForm(colour=False).message(_message("Booting worker %d", 7)).decode()
    assert line[12:] == " info     gunicorn.error: Booting worker 7\n"


def test_colours_for_what_is_wrong(log: Log) -> None:
    good, bad, broken = log(HumanForm(colour=True), 200, 400, 500)
    assert "\x1b" not in good
    assert bad.startswith(YELLOW)
    assert broken.startswith(RED)
    assert bad.endswith(CLEAR)
    assert broken.endswith(CLEAR)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1627808579.25, "2021-08-01T09:02:59.250Z"),
        (1627808579.9999, "2021-08-01T09:02:59.999Z"),
        (1627808580.0625, "2021-08-01T09:03:00.062Z"),
    ],
)
def test_times_are_in_utc_with_milliseconds(moment: float, text: str) -> None:
    assert timestamp(moment) == text


@pytest.mark.parametrize(
    ("setting", "terminal", "form"),
    [
        ("auto", True, HumanForm),
        ("auto", False, JsonForm),
        ("json", True, JsonForm),
        ("human", False, HumanForm),
    ],
)
def test_the_form_is_as_set_or_fits_where_it_goes(
    setting: Any, form: type, *, terminal: bool
) -> None:
    reader, writer = os.openpty() if terminal else os.pipe()
    try:
        assert type(lines_of(Settings(log_form=setting), writer).form) is form
    finally:
        os.close(reader)
        os.close(writer)
