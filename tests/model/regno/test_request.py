"""One request's fields: what is taken, what is refused, and with which reasons."""

import json
import re
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import InvalidRequest
from model.regno import Reading, RegnoScorer
from model.regno.request import (
    FIELDS,
    PERCENT_PATTERN,
    SCORES_PATTERN,
    TIME_PATTERN,
    UNIT_PATTERN,
    parse_scores,
    parse_wall_clock,
)
from tests.support.strategies import requests

_decode = RegnoScorer.decoder(10)
Body = dict[str, Any]


def _read(body: Body) -> Reading:
    reading = _decode(json.dumps(body).encode())
    assert isinstance(reading, Reading)
    return reading


def _refusal(body: Body) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        _read(body)
    return caught.value


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(field: str, request_body: Body) -> None:
    del request_body[field]
    assert str(_refusal(request_body)) == f"{field}: is missing"


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [None, True, {"plate": "А939НО196"}, [["А939НО196"]]])
def test_a_value_of_another_kind_is_refused_by_the_fields_name(
    field: str, value: object, request_body: Body
) -> None:
    fault = _refusal({**request_body, field: value})
    assert fault.field == field
    assert fault.reason
    assert "А939НО196" not in str(fault)


@pytest.mark.parametrize("field", ["regno_recognize", "afts_regno_ai", "camera_type"])
def test_a_number_is_no_text(field: str, request_body: Body) -> None:
    fault = _refusal({**request_body, field: 31337})
    assert str(fault) == f"{field}: must be a string, not an integer"


def test_numbers_may_be_strings(request_body: Body) -> None:
    texts = {"recognition_accuracy": "6.4", "afts_regno_ai_score": "0.5", "direction": "1"}
    reading = _read({**request_body, **texts})
    assert reading.recognition_accuracy == 6.4
    assert reading.afts_regno_ai_score == 0.5
    assert reading.direction == 1


@pytest.mark.parametrize("field", ["afts_regno_ai_char_scores", "afts_regno_ai_length_scores"])
def test_score_lists_may_be_lists_or_strings(field: str, request_body: Body) -> None:
    as_list = _read({**request_body, field: [0.25, 1, 0]})
    as_text = _read({**request_body, field: " [0.25,1 , 0]\n"})
    assert getattr(as_list, field) == getattr(as_text, field) == [0.25, 1, 0]


@pytest.mark.parametrize("direction", [0, 1, "0", "1"])
def test_both_directions_are_taken(direction: object, request_body: Body) -> None:
    assert _read({**request_body, "direction": direction}).direction == int(str(direction))


@pytest.mark.parametrize("value", [2, -1, 0.5, "2", "-1", "0.5", "", " ", "x", "true", "01", "+1"])
def test_any_other_direction_is_refused(value: object, request_body: Body) -> None:
    assert _refusal({**request_body, "direction": value}).field == "direction"


@pytest.mark.parametrize("edge", [0, 100, 0.0, 100.0, "0", "100", "100.0"])
def test_per_cent_includes_both_ends(edge: object, request_body: Body) -> None:
    reading = _read({**request_body, "recognition_accuracy": edge})
    assert reading.recognition_accuracy == float(str(edge))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("recognition_accuracy", 100.0000001, "must be <= 100.0"),
        ("recognition_accuracy", -0.1, "must be >= 0.0"),
        ("recognition_accuracy", "101", "must be <= 100.0"),
        ("afts_regno_ai_score", 1.0000001, "must be <= 1.0"),
        ("afts_regno_ai_score", -1e-9, "must be >= 0.0"),
        ("direction", 2, "must be <= 1"),
        ("direction", 10**30, "must be <= 1"),
        ("direction", 0.5, "must be an integer, not a fraction"),
        ("time_check", "yesterday", "not a readable time such as 2021-08-01 09:02:59"),
        (
            "afts_regno_ai_char_scores",
            ["0.5"],
            "must be a list of finite numbers, or a string holding one",
        ),
    ],
)
def test_the_reason_is_given_as_text(
    field: str, value: object, reason: str, request_body: Body
) -> None:
    assert str(_refusal({**request_body, field: value})) == f"{field}: {reason}"


@pytest.mark.parametrize("field", ["recognition_accuracy", "afts_regno_ai_score", "direction"])
@pytest.mark.parametrize("text", ["NaN", "nan", "Infinity", "-Infinity", "inf", "1e999", "-1e999"])
def test_not_a_number_and_infinities_in_strings_are_refused(
    field: str, text: str, request_body: Body
) -> None:
    assert _refusal({**request_body, field: text}).field == field


@pytest.mark.parametrize(
    "value",
    [
        *(["0.5"], [None], [True], [[0.5]], [{}], {}, 0.5, None, False),
        *("", "0.5", "[0.5", "[0.5,]", "[,]", "[NaN]", "[1e999]", "[Infinity]", '["0.5"]'),
        *("[null]", "[[0.5]]", "{}", "[0.5] x", "[true]", "[" * 50_000, "[1" + "0" * 400 + "]"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_lists_hold_finite_numbers_only(value: object, request_body: Body) -> None:
    fault = _refusal({**request_body, "afts_regno_ai_length_scores": value})
    assert fault.field == "afts_regno_ai_length_scores"


_READABLE = {
    "2021-08-01 09:02:59": (9, "Sunday", "August"),
    "2021-08-01T09:02:59": (9, "Sunday", "August"),
    "2021-08-01 09:02": (9, "Sunday", "August"),
    "2021-08-01": (0, "Sunday", "August"),
    "2021-08-02T23:59:59.1": (23, "Monday", "August"),
    "2021-08-02T23:59:59.123456": (23, "Monday", "August"),
    "2021-08-02T23:59:59,123456789": (23, "Monday", "August"),
    "2021-12-31T23:30:00Z": (23, "Friday", "December"),
    "2021-12-31T23:30:00+03:00": (23, "Friday", "December"),
    "2021-12-31 23:30:00-1130": (23, "Friday", "December"),
    "2021-12-31 23:30+03": (23, "Friday", "December"),
    "2021-12-31 23:30:00.5Z": (23, "Friday", "December"),
    "2020-02-29 00:00:00": (0, "Saturday", "February"),
    "2000-02-29": (0, "Tuesday", "February"),
    "0001-01-01": (0, "Monday", "January"),
    "9999-12-31T23:59:59": (23, "Friday", "December"),
}


@pytest.mark.parametrize("text", _READABLE)
def test_a_readable_time_gives_the_hour_as_written(text: str, request_body: Body) -> None:
    time = _read({**request_body, "time_check": text}).time_check
    assert (time.hour, time.weekday, time.month) == _READABLE[text]


@pytest.mark.parametrize(
    "value",
    [
        *(" ", "yesterday", "2021", "2021-08", "20210801", "2021-W31-7", "2021-213"),
        *("2021-08-01\n", " 2021-08-01", "2021-08-01 ", "2021-08-01T", "2021-8-1", "21-08-01"),
        *("2021-02-29", "1900-02-29", "2021-04-31", "2021-13-01", "2021-00-10", "2021-01-00"),
        *("0000-01-01", "10000-01-01", "-001-01-01", "٢٠٢١-08-01", "01.08.2021", "2021/08/01"),
        *("2021-08-01 24:00:00", "2021-08-01 09:60:00", "2021-08-01 09:02:60", "2021-08-01 9:02"),
        *("2021-08-01 09", "2021-08-01 0902", "2021-08-01t09:02:59", "2021-08-01_09:02:59"),
        *("2021-08-01 09:02:59.", "2021-08-01 09:02:59.1234567890", "2021-08-01 09:02.5"),
        *("2021-08-01Z", "2021-08-01 09:02:59z", "2021-08-01 09:02:59 Z", "2021-08-01 09:02:59+3"),
        *("2021-08-01 09:02:59+24:00", "2021-08-01 09:02:59+03:60", "2021-08-01 09:02:59+03:00:00"),
        *(1627808579, 1627808579.0, None, True, ["2021-08-01"], {"time": "2021-08-01"}),
    ],
)
def test_an_unreadable_time_is_refused_by_name(value: object, request_body: Body) -> None:
    fault = _refusal({**request_body, "time_check": value})
    assert str(fault) == "time_check: not a readable time such as 2021-08-01 09:02:59"


@given(st.from_regex(TIME_PATTERN, fullmatch=True))
def test_every_time_that_the_document_admits_is_read(text: str) -> None:
    assert parse_wall_clock(text).hour in range(24)


@given(st.from_regex(SCORES_PATTERN, fullmatch=True))
def test_every_list_in_a_string_that_the_document_admits_is_read(text: str) -> None:
    assert all(map(isfinite, parse_scores(text)))


_NUMBERS = {"recognition_accuracy": PERCENT_PATTERN, "afts_regno_ai_score": UNIT_PATTERN}


@pytest.mark.parametrize("field", _NUMBERS)
@given(data=st.data())
def test_every_number_in_a_string_that_the_document_admits_is_read(
    field: str, data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(_NUMBERS[field], fullmatch=True))
    body = {**_sample(), field: text}
    assert getattr(_read(body), field) == float(text)


@given(st.floats(0, 1).map(repr) | st.sampled_from(["0", "1"]))
def test_the_document_admits_a_number_in_a_string_as_programs_write_it(text: str) -> None:
    assert all(re.fullmatch(pattern, text) for pattern in _NUMBERS.values())


@given(st.lists(st.floats(-1e307, 1e307)).map(str))
def test_the_document_admits_a_list_in_a_string_as_programs_write_it(text: str) -> None:
    assert re.fullmatch(SCORES_PATTERN, text)


def _sample() -> Body:
    body = dict.fromkeys(FIELDS, "")
    times = {"time_check": "2021-08-01", "direction": 0}
    scores: Body = {"afts_regno_ai_char_scores": [], "afts_regno_ai_length_scores": []}
    return {**body, **times, **scores, "recognition_accuracy": 1, "afts_regno_ai_score": 1}


@given(requests())
def test_every_request_of_the_contract_is_read(request: Body) -> None:
    reading = _read(request)
    assert reading.regno_recognize == request["regno_recognize"]
    assert reading.direction == int(request["direction"])


@given(requests(), st.sampled_from(FIELDS), st.text(min_size=4, alphabet="ЖЩЭЮ"))
def test_no_refusal_repeats_a_value(request: Body, field: str, planted: str) -> None:
    fault = _refusal({**request, field: {planted: planted}})
    assert fault.field == field
    assert planted not in str(fault)
