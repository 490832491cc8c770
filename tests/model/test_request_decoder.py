"""From bytes to requests: one object or many, once or twice encoded, and what is hostile."""

import json
from codecs import BOM_UTF8
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import InvalidRequest, NotUtf8, TooManyRows
from model.regno import Reading, RegnoScorer
from model.request_decoder import NOT_A_ROW, NOT_ROWS
from model.strict_json import NOT_JSON, REPEATED, TOO_DEEP
from tests.support.messages import mentions, states
from tests.support.strategies import VALID, mutations

_decode = RegnoScorer.decoder(100)
Body = dict[str, Any]
OBJECT: Body = json.loads(VALID)
DEEP = "[" * 100_000
LONG_NUMBER = "1" * 5000


def _bytes(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _extended(fragment: str) -> str:
    """The valid object with `fragment` as its last members."""
    return VALID.decode()[:-1] + "," + fragment + "}"


def _refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        _decode(body)
    return caught.value


def _rows(body: bytes) -> list[str]:
    """What became of each row: `read`, or the reason of the fault."""
    rows = _decode(body)
    assert isinstance(rows, list)
    return ["read" if isinstance(row, Reading) else str(row) for row in rows]


def test_one_object_is_one_reading() -> None:
    reading = _decode(VALID)
    assert isinstance(reading, Reading)
    assert reading.regno_recognize == OBJECT["regno_recognize"]


@pytest.mark.parametrize(
    "body",
    [
        _bytes(VALID.decode()),
        json.dumps(VALID.decode()).encode(),
        _bytes(f" {VALID.decode()}\n"),
        b" \t\r\n" + VALID + b"\r\n",
        _extended('"unknown": {"a": [1, null]}').encode(),
        _bytes({**OBJECT, "note": '"a": "b", "c": 1'}),
        _bytes(dict(reversed(OBJECT.items()))),
        json.dumps(OBJECT, indent=4).encode(),
    ],
    ids=[
        "encoded twice",
        "escaped",
        "blanks within",
        "blanks",
        "extra",
        "colons",
        "order",
        "indent",
    ],
)
def test_other_forms_of_the_same_object_are_the_same_reading(body: bytes) -> None:
    reading, plain = _decode(body), _decode(VALID)
    assert isinstance(reading, Reading)
    assert isinstance(plain, Reading)
    for field in ("regno_recognize", "direction", "afts_regno_ai_char_scores"):
        assert getattr(reading, field) == getattr(plain, field)


def test_an_array_keeps_its_order() -> None:
    plates = ["А111АА77", "В222ВВ77", "С333СС77"]
    rows = _decode(_bytes([{**OBJECT, "regno_recognize": plate} for plate in plates]))
    assert isinstance(rows, list)
    assert [row.regno_recognize for row in rows if isinstance(row, Reading)] == plates


def test_an_empty_array_has_no_rows() -> None:
    assert _rows(b"[]") == _rows(b" [ ] ") == _rows(b'"[]"') == []


def test_an_array_or_its_rows_may_be_encoded_twice() -> None:
    text = VALID.decode()
    assert _rows(_bytes(json.dumps([OBJECT, OBJECT]))) == ["read", "read"]
    assert _rows(_bytes([text, OBJECT, text])) == ["read", "read", "read"]
    assert _rows(_bytes(json.dumps([text]))) == ["read"]


def test_nothing_is_decoded_a_third_time() -> None:
    thrice = json.dumps(json.dumps(VALID.decode()))
    assert str(_refusal(thrice.encode())) == NOT_ROWS
    assert _rows(_bytes([thrice]))[0] != "read"


def test_a_bad_row_leaves_its_neighbours_alone() -> None:
    bad = [{}, {**OBJECT, "direction": 2}, 7, None, "x", [], {**OBJECT, "time_check": 5}]
    rows = _rows(_bytes([OBJECT, *(row for fault in bad for row in (fault, OBJECT))]))
    assert rows[::2] == ["read"] * 8
    missing, direction, *others, time = rows[1::2]
    assert states(missing, "regno_recognize: ", "missing")
    assert states(direction, "direction: ", "1")
    assert others == [NOT_A_ROW, NOT_A_ROW, NOT_JSON, NOT_A_ROW]
    assert states(time, "time_check: ", "readable time")


@pytest.mark.parametrize("value", [b"1e999", b"-1e999", b"NaN", b"Infinity", b"-Infinity"])
def test_an_infinite_number_spoils_its_own_row_only(value: bytes) -> None:
    body = _bytes([OBJECT, {**OBJECT, "direction": "@"}, OBJECT]).replace(b'"@"', value)
    assert _rows(body)[::2] == ["read", "read"]
    assert _rows(body)[1].startswith("direction: must be")
    assert _refusal(VALID.replace(b'"direction": 1', b'"direction": ' + value)).field == "direction"


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_is_none_within_a_list_names_the_field(value: bytes) -> None:
    body = _bytes({**OBJECT, "afts_regno_ai_char_scores": ["@"]}).replace(b'"@"', b"1, " + value)
    assert states(str(_refusal(body)), "afts_regno_ai_char_scores: ", "finite number")
    assert _rows(b"[" + body + b"," + VALID + b"]")[1] == "read"


@pytest.mark.parametrize("value", ["NaN", "Infinity", '{"a": [[-Infinity]]}'])
def test_what_is_no_number_is_refused_in_unknown_fields(value: str) -> None:
    fault = _refusal(_extended(f'"А939НО196": {value}').encode())
    assert fault.field == ""
    assert "А939НО196" not in str(fault)


def test_a_lone_surrogate_spoils_its_own_row_only() -> None:
    row = VALID.replace("Е".encode(), b"\\ud800")
    assert _rows(b"[" + row + b"," + VALID + b"]") == [NOT_JSON, "read"]


def test_too_many_rows_are_reported_by_the_limit() -> None:
    assert len(_rows(_bytes([OBJECT] * 100))) == 100
    for row in (OBJECT, {}, VALID.decode()):
        with pytest.raises(TooManyRows, match="at most 100 rows"):
            _decode(_bytes([row] * 101))


@pytest.mark.parametrize(
    "fragment",
    [
        '"direction": 1',
        '"direction": 0',
        '"dir\\u0065ction": 1',
        '"x": 1, "x": 1',
        '"x": {"a": 1, "a": 2}',
        '"x": [[{"a": {"b": 1, "b": 1}}]]',
    ],
)
def test_a_repeated_key_is_refused_wherever_it_is(fragment: str) -> None:
    text = _extended(fragment)
    assert str(_refusal(text.encode())) == REPEATED
    assert str(_refusal(_bytes(text))) == REPEATED
    assert _rows(f"[{text},{VALID.decode()}]".encode()) == [REPEATED, "read"]
    assert _rows(_bytes([text, OBJECT])) == [REPEATED, "read"]


def test_a_repeated_key_is_found_though_another_is_missing() -> None:
    body = VALID.replace(b'"direction": 1', b'"camera_type": "x"')
    assert body != VALID
    assert str(_refusal(body)) in {REPEATED, "direction: is missing"}
    assert _rows(b"[" + body + b"," + VALID + b"]")[1] == "read"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"x", b"'", b'"', b"{", b"[", b"[,]", b"[1,]", b"[] []", b'"x"', b'""'),
        *(VALID[:-1], VALID[: len(VALID) // 2], b"[" + VALID, b"[" + VALID + b",", VALID + b"x"),
        *(BOM_UTF8 * 2 + VALID, BOM_UTF8 * 50_000 + VALID, BOM_UTF8, b" " + BOM_UTF8 + VALID),
        *(VALID + BOM_UTF8, b"[" + BOM_UTF8 + VALID + b"]", b"\x0c{}"),
        *(VALID.replace(b": 1", b": +1"), VALID.replace(b": 1", b": 01")),
        VALID.replace("Е".encode(), b"\\ud800"),
        VALID.replace("Е".encode(), b"\\udc00\\ud800"),
        VALID.replace("Е".encode(), b"\n"),
        _extended('"\\ud800": 1').encode(),
        _bytes(VALID.decode()[:-1]),
        json.dumps("\ud800").encode(),
    ],
    ids=lambda body: repr(body[:12] + b".." + body[-8:]),
)
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    assert str(_refusal(body)) == NOT_JSON


def _plates(body: bytes) -> list[str]:
    """The camera's reading of each row."""
    read = _decode(body)
    rows = read if isinstance(read, list) else [read]
    return [row.regno_recognize for row in rows if isinstance(row, Reading)]


@pytest.mark.parametrize("rows", [1, 2])
def test_one_mark_of_utf8_at_the_begin_is_passed_over(rows: int) -> None:
    text = VALID.decode() if rows == 1 else f"[{VALID.decode()},{VALID.decode()}]"
    expected = [OBJECT["regno_recognize"]] * rows
    assert _plates(BOM_UTF8 + text.encode()) == expected
    # Before the text and within it, once it has been encoded.
    for encoded in (json.dumps(text), json.dumps("\ufeff" + text)):
        assert _plates(encoded.encode()) == expected
        assert _plates(BOM_UTF8 + encoded.encode()) == expected


def test_a_mark_within_an_encoded_row_is_passed_over_too() -> None:
    assert _rows(_bytes(["\ufeff" + VALID.decode(), OBJECT, "\ufeff\ufeff" + VALID.decode()])) == [
        "read",
        "read",
        NOT_JSON,
    ]


_ENCODINGS = (
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-le",
    "utf-32-be",
    "cp1251",
    "koi8-r",
)


@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize("body", [VALID, b"[" + VALID + b"]", _bytes(VALID.decode())])
def test_another_encoding_is_said_to_be_one(body: bytes, encoding: str) -> None:
    fault = _refusal(body.decode().encode(encoding))
    assert isinstance(fault, NotUtf8)
    assert (fault.field, fault.kind) == ("", "unreadable")
    assert mentions(str(fault), "body", "UTF-8")


@pytest.mark.parametrize(
    "body",
    [
        *(b"\xff\xfe", b"\x00", b"\xff", BOM_UTF8 + b"\xff", b'"\xd0"'),
        VALID.replace("Е".encode(), b"\xd0"),
        VALID.replace("Е".encode(), b"\xed\xa0\x80"),
        b"[" + VALID + b"," + VALID.replace("Е".encode(), b"\xd0") + b"]",
    ],
    ids=lambda body: repr(body[:12] + b".." + body[-8:]),
)
def test_bytes_that_are_no_utf8_are_said_to_be_none(body: bytes) -> None:
    assert isinstance(_refusal(body), NotUtf8)


@pytest.mark.parametrize("body", [b"null", b"1", b"1.5", b"true", b"false"])
def test_json_of_another_kind_is_no_request(body: bytes) -> None:
    assert str(_refusal(body)) == NOT_ROWS


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        DEEP + "]" * 100_000,
        '{"a":' * 100_000,
        _extended('"x": ' + DEEP + "]" * 100_000),
        "[" + _extended('"x": ' + DEEP) + "]",
        json.dumps(DEEP),
        json.dumps('{"a":' * 100_000),
    ],
    ids=["open", "closed", "objects", "ignored field", "row", "encoded twice", "objects twice"],
)
def test_deep_nesting_is_refused(body: str) -> None:
    assert str(_refusal(body.encode())) in {TOO_DEEP, NOT_JSON}


def test_deep_nesting_within_an_encoded_row_is_that_rows_own_fault() -> None:
    assert _rows(_bytes([DEEP[:50_000], OBJECT])) == [TOO_DEEP, "read"]


@pytest.mark.parametrize(
    "junk",
    [
        '{"x": {"a": 1, "a": 1},',
        '{"x": {"a": 1, "a": 1}, "y": ' + DEEP,
        '{"x": {"a": 1, "a": 1}, "y": ' + LONG_NUMBER + "}",
        '{"x": {"a": 1, "a": 1}, "y": NaN}',
    ],
    ids=["truncated", "deep", "long number", "NaN"],
)
def test_a_repeated_key_before_worse_is_still_the_rows_own_fault(junk: str) -> None:
    rows = _rows(_bytes([junk, OBJECT]))
    assert rows[0] != "read"
    assert rows[1] == "read"


@pytest.mark.parametrize("junk", ['{"x": {"a": 1, "a": 1}, "y": ' + LONG_NUMBER + "}", LONG_NUMBER])
def test_a_long_number_in_a_bad_row_leaves_its_neighbours_alone(junk: str) -> None:
    rows = _rows(f"[{junk},{VALID.decode()}]".encode())
    assert rows[0] != "read"
    assert rows[1] == "read"


def test_a_long_number_in_an_unknown_field_is_ignored() -> None:
    text = _extended(f'"x": {LONG_NUMBER}')
    assert isinstance(_decode(text.encode()), Reading)
    assert _rows(f"[{text}]".encode()) == ["read"]


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    _read_or_refused(body)


@given(mutations())
def test_any_mutation_of_a_valid_body_is_read_or_refused(body: bytes) -> None:
    _read_or_refused(body)


def _read_or_refused(body: bytes) -> None:
    try:
        result = _decode(body)
    except InvalidRequest as fault:
        assert fault.reason  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(result, (list, Reading))
        rows = result if isinstance(result, list) else [result]
        assert all(isinstance(row, (Reading, InvalidRequest)) for row in rows)


@given(st.recursive(st.none() | st.text() | st.floats(), st.lists))
def test_any_json_is_read_or_refused(value: object) -> None:
    _read_or_refused(json.dumps(value).encode())
    _read_or_refused(json.dumps(json.dumps(value)).encode())
