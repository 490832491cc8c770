"""Why a value is refused: with the same reason over HTTP, in files, in training, in a notebook."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from model import InvalidRequest
from model.regno import RegnoScorer, pick_regno
from model.regno.dataset.rows import read
from model.regno.request import FIELDS, Reading, decode_custom
from model.request_decoder import RequestDecoder
from tests.support.tables import as_csv, in_process, samples

_COMMA = "has a decimal comma instead of a point"
_NO_NUMBER = "must be a number, not other text"
_NO_INTEGER = "must be an integer, not other text"
_FINITE = "must be a finite number"
_LIST = "must be a list of finite numbers, or a string holding one"
_TIME = "not a readable time such as 2021-08-01 09:02:59"

# A plate among them: it must not come back.
TEXTS = [
    *(("recognition_accuracy", text, "is empty") for text in ("", " ", "\t")),
    *(("recognition_accuracy", text, _COMMA) for text in ("6,4", "-6,4", ",5", "6,4e1", " 6,4 ")),
    *(("recognition_accuracy", text, _FINITE) for text in ("nan", "NaN", "inf", "-Infinity")),
    ("recognition_accuracy", "1e999", _FINITE),
    *(("recognition_accuracy", text, _NO_NUMBER) for text in ("А939НО196", " 6.4", "1,234.5", "٣")),
    *(
        ("recognition_accuracy", text, _NO_NUMBER)
        for text in ("6,", "6,4,5", "1_0", "truer", "None")
    ),
    ("recognition_accuracy", "true", "must be a number, not true or false"),
    ("recognition_accuracy", "101", "must be <= 100.0"),
    ("afts_regno_ai_score", "", "is empty"),
    ("afts_regno_ai_score", "0,86", _COMMA),
    ("afts_regno_ai_score", "nan", _FINITE),
    ("afts_regno_ai_score", "-1", "must be >= 0.0"),
    ("direction", "", "is empty"),
    ("direction", "1,0", _COMMA),
    ("direction", "nan", _FINITE),
    ("direction", "А939НО196", _NO_INTEGER),
    ("direction", "0.5", _NO_INTEGER),
    *(
        ("direction", text, "must be an integer, not true or false")
        for text in ("false", "True", " TRUE")
    ),
    ("direction", "2", "must be <= 1"),
    ("afts_regno_ai_char_scores", "", "is empty"),
    *(
        ("afts_regno_ai_length_scores", text, f"{form}: a list is wanted, such as [0.99, 0.87]")
        for text, form in {
            "[0.99\n 0.87 ]": "has no commas between its numbers, as numpy prints them",
            "[0.99; 0.87]": "has semicolons between its numbers",
            "{0.99,0.87}": "has braces, as PostgreSQL writes them",
            "(0.99, 0.87)": "has round brackets",
        }.items()
    ),
    *(("afts_regno_ai_length_scores", text, _LIST) for text in ("nan", "[ nan ]", "[0.99, nan]")),
    ("time_check", "", "is empty"),
    ("time_check", "nan", _TIME),
]
_decoder = RequestDecoder(Reading, decode_custom)


def _body(body: object) -> object:
    return _decoder(json.dumps(body).encode())


def _object(row: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidRequest) as fault:
        _body(row)
    return str(fault.value)


def _object_encoded_twice(row: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidRequest) as fault:
        _body(json.dumps(row))
    return str(fault.value)


def _row(row: Mapping[str, Any]) -> str:
    rows = _body([row])
    assert isinstance(rows, list)
    return str(rows[0])


def _row_encoded_twice(row: Mapping[str, Any]) -> str:
    rows = _body([json.dumps(row)])
    assert isinstance(rows, list)
    return str(rows[0])


def _notebook(row: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidRequest) as fault:
        pick_regno(*(row[name] for name in FIELDS), RegnoScorer.load())  # type: ignore[call-arg]  # ten of them
    return str(fault.value)


def _file(row: Mapping[str, Any]) -> str:
    (scored,) = in_process(as_csv([row]))
    return scored["error"]


def _training(row: Mapping[str, Any]) -> str:
    text = as_csv([{**row, "label": "1"}], (*FIELDS, "label"))
    (fault,) = read(io.BytesIO(text), "label", lambda _: None).faults
    return fault.reason


SURFACES = [_object, _object_encoded_twice, _row, _row_encoded_twice, _file, _training, _notebook]


@pytest.mark.parametrize("reason_of", SURFACES, ids=lambda surface: surface.__name__)
@pytest.mark.parametrize(("field", "text", "reason"), TEXTS)
def test_a_text_is_refused_in_the_same_text_everywhere(
    reason_of: Callable[[Mapping[str, Any]], str], field: str, text: str, reason: str
) -> None:
    assert reason_of({**samples(1)[0], field: text}) == f"{field}: {reason}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), _FINITE),
        (float("inf"), _FINITE),
        (None, "must be a number, not null"),
        (True, "must be a number, not true or false"),
        ([6.4], "must be a number, not a list"),
        (101, "must be <= 100.0"),
    ],
)
@pytest.mark.parametrize("reason_of", [_object, _row, _notebook])
def test_a_value_of_another_kind_is_named(
    reason_of: Callable[[Mapping[str, Any]], str], value: object, reason: str
) -> None:
    message = reason_of({**samples(1)[0], "recognition_accuracy": value})
    assert message == f"recognition_accuracy: {reason}"


def test_a_body_that_breaks_off_behind_a_bad_number_reports_of_the_number() -> None:
    body = json.dumps({**samples(1)[0], "recognition_accuracy": "6,4"}).encode()
    with pytest.raises(InvalidRequest, match="recognition_accuracy: must be a number"):
        _decoder(body[:-10])


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("yes", "must be 0 or 1, not yes (--positive names the word)"),
        ("Да", "must be 0 or 1, not да (--positive names the word)"),
        ("True", "must be 0 or 1, not true (--positive names the word)"),
        ("camera", "must be 0 or 1, not camera (--positive names the word)"),
        ("nan", "must be 0 or 1, not nan"),
        ("2", "must be 0 or 1"),
        ("А939НО196", "must be 0 or 1"),
    ],
)
def test_a_label_is_refused_without_repeating_what_may_be_a_plate(label: str, reason: str) -> None:
    text = as_csv([{**samples(1)[0], "label": label}], (*FIELDS, "label"))
    (fault,) = read(io.BytesIO(text), "label", lambda _: None).faults
    assert fault == ("line 2", f"label: {reason}")
