"""An array that is decoded slice by slice is what it is when it is decoded at once."""

import gc
import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from model import InvalidRequest, TooManyRows, is_array, json_split, request_decoder
from model.regno import Reading
from model.regno.request import decode_custom
from model.request_decoder import LONGEST_ROW, RequestDecoder
from model.strict_json import NOT_JSON
from tests.support.messages import mentions
from tests.support.paths import GOLDEN, lines
from tests.support.strategies import VALID, mutations, requests

_ROWS: list[dict[str, Any]] = [line["request"] for line in lines(GOLDEN)]
_MIB = 1 << 20
_LONGEST_BODY = 16 * _MIB


def _decoder(longest_row: int = LONGEST_ROW) -> RequestDecoder[Reading]:
    return RequestDecoder(Reading, decode_custom, 10_000, longest_row)


@contextmanager
def sliced(size: int) -> Iterator[None]:
    """Arrays are decoded in slices of so many bytes, and looked at in pieces as long."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(request_decoder, "SLICE_BYTES", size)
        patched.setattr(json_split, "_PIECE", size)
        yield


def plain(row: Reading | InvalidRequest) -> tuple[Any, ...]:
    """All that is known of a row, or of its fault."""
    if isinstance(row, InvalidRequest):
        return row.field, row.reason, row.kind
    time_check = row.time_check
    others = [getattr(row, name) for name in row.__struct_fields__ if name != "time_check"]
    return (*others, time_check.hour, time_check.weekday, time_check.month)


def outcome(decoder: RequestDecoder[Reading], body: bytes) -> list[tuple[Any, ...]] | str:
    """What became of each row, or why there is none."""
    try:
        return [plain(row) for row in chain.from_iterable(decoder.slices(body))]
    except InvalidRequest as fault:
        return str(fault)


# Strings that look like the end of a row and the begin of another.
_TRAPS = st.text(st.sampled_from('[]{},:"\\ \nя🚗a'), max_size=20)
_ROWS_OF_ALL_KINDS = st.one_of(
    requests(),
    st.sampled_from(_ROWS),
    st.builds(lambda row, trap: {**row, "note": trap, trap: 1}, st.sampled_from(_ROWS), _TRAPS),
    st.builds(lambda row, trap: {**row, "camera_type": trap}, st.sampled_from(_ROWS), _TRAPS),
    st.builds(json.dumps, st.sampled_from(_ROWS)),
    st.sampled_from([{}, [], 1, None, "x", "},{", '{"a": [1, 2}', {"a": "},{"}]),
)
_FORMS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 1]),
        "separators": st.sampled_from([(",", ":"), (" , ", " : "), (",\r\n", ":\n")]),
    }
)


@given(
    st.lists(_ROWS_OF_ALL_KINDS, max_size=10),
    _FORMS,
    st.integers(1, 3000),
    st.sampled_from([100, 1000, LONGEST_ROW]),
)
def test_an_array_is_the_same_in_slices_of_any_size(
    rows: list[Any], form: dict[str, Any], size: int, longest_row: int
) -> None:
    decoder = _decoder(longest_row)
    text = json.dumps(rows, **form)
    for body in (text.encode(), json.dumps(text, ensure_ascii=form["ensure_ascii"]).encode()):
        whole = outcome(decoder, body)
        assert len(whole) == len(rows)
        with sliced(size):
            result = outcome(decoder, body)
        # Where no comma is for long, an array that was encoded once more has no place to be cut.
        if not (result == NOT_JSON and body[:1] == b'"' and longest_row < LONGEST_ROW):
            assert result == whole


@given(st.lists(requests(), max_size=10), _FORMS, st.integers(1, 3000))
def test_valid_rows_are_those_that_one_call_decodes(
    rows: list[Any], form: dict[str, Any], size: int
) -> None:
    body = json.dumps(rows, **form).encode()
    at_once = msgspec.json.decode(body, type=list[Reading], strict=False, dec_hook=decode_custom)
    with sliced(size):
        assert outcome(_decoder(), body) == list(map(plain, at_once))


@pytest.mark.parametrize("spare", range(-3, 40))
def test_an_encoded_array_may_end_anywhere_behind_a_slice(spare: int) -> None:
    """Where the rest of it has no comma to be cut at."""
    text = json.dumps(json.dumps([_ROWS[0]] * 3)).encode()
    with sliced(len(text) - 2 - spare):
        assert len(outcome(_decoder(), text)) == 3


@given(mutations(), st.integers(1, 800))
def test_a_mutated_array_is_refused_in_slices_if_it_is_at_once(body: bytes, size: int) -> None:
    assume(is_array(body))
    decoder = _decoder()
    whole = outcome(decoder, body)
    with sliced(size):
        assert outcome(decoder, body) == whole


@pytest.mark.parametrize("size", [10, 100, 700, 5000, request_decoder.SLICE_BYTES])
def test_each_row_is_that_of_its_place(size: int) -> None:
    rows: list[Any] = [{}, *_ROWS, [], *_ROWS[:50], {**_ROWS[0], "x": "},{" * 50}]
    one_by_one = [plain(_alone(row)) for row in rows]
    with sliced(size):
        assert outcome(_decoder(), json.dumps(rows).encode()) == one_by_one


def _alone(row: Any) -> Reading | InvalidRequest:
    result: list[Reading | InvalidRequest]
    result = list(chain.from_iterable(_decoder().slices(json.dumps([row]).encode())))
    assert len(result) == 1
    return result[0]


# Limits.


def _long(size: int, row: bytes = VALID) -> bytes:
    """A row of so many bytes."""
    return row[:-1] + b" " * (size - len(row)) + b"}"


@pytest.mark.parametrize("before", [0, 3, 2000])
@pytest.mark.parametrize("after", [0, 3, 2000])
def test_a_row_may_have_64_kib(before: int, after: int) -> None:
    for size, is_read in ((64 * 1024, True), (64 * 1024 + 1, False)):
        body = b"[%b]" % b",".join([*[VALID] * before, _long(size), *[VALID] * after])
        rows: list[Reading | InvalidRequest]
        rows = list(chain.from_iterable(_decoder().slices(body)))
        assert len(rows) == before + 1 + after
        row: Reading | InvalidRequest = rows.pop(before)
        assert isinstance(row, Reading) is is_read
        if isinstance(row, InvalidRequest):
            assert row.kind == "length"
            assert mentions(str(row), "row", "65536 bytes")
        assert all(isinstance(other, Reading) for other in rows)


@pytest.mark.parametrize("row", [VALID, b"{}", b"1", b'"x"', b"[" + b"1," * 500 + b"1]"])
def test_an_array_may_have_so_many_rows(row: bytes) -> None:
    assert len(outcome(_decoder(), b"[%b]" % b",".join([row] * 10_000))) == 10_000
    with pytest.raises(TooManyRows, match="at most 10000 rows"):
        list(_decoder().slices(b"[%b]" % b",".join([row] * 10_001)))


def test_nothing_of_an_array_is_given_before_it_can_be_read_to_its_end() -> None:
    for end in (b"", b",", b"]]", b",{]", b'"]'):
        given_rows: list[list[Reading | InvalidRequest]] = []
        with pytest.raises(InvalidRequest):
            given_rows.extend(_decoder().slices(b"[" + b",".join([VALID] * 3000) + end))
        assert [rows for rows in given_rows if rows] == []


def test_a_fault_that_is_kept_holds_nothing_of_what_was_looked_at() -> None:
    bad: list[Any] = ["x", '{"a": 1', {}, [], {**_ROWS[0], "direction": 7}]
    for fault in map(_alone, bad):
        assert isinstance(fault, InvalidRequest)
        assert (fault.__traceback__, fault.__context__, fault.__cause__) == (None, None, None)


# Hostile arrays.


def _full_of(unit: bytes, begin: bytes = b"[", end: bytes = b"]") -> bytes:
    """An array as long as any may be, of one element again and again."""
    count = (_LONGEST_BODY - len(begin) - len(end) + 1) // (len(unit) + 1)
    return begin + b",".join([unit] * count) + end


def _hostile() -> dict[str, bytes]:
    half = _LONGEST_BODY // 2
    return {
        "ones": _full_of(b"1"),
        "empty objects": _full_of(b"{}"),
        "empty texts": _full_of(b'""'),
        "empty lists": _full_of(b"[]"),
        "commas": b"[" + b"," * (_LONGEST_BODY - 2) + b"]",
        "blanks": b"[" + b" " * (_LONGEST_BODY - 2) + b"]",
        "deep": b"[" * _LONGEST_BODY,
        "deep and closed": b"[" * half + b"]" * half,
        "deep objects": b"[" + b'{"a":' * (_LONGEST_BODY // 5),
        "one text": b'["' + b"a" * (_LONGEST_BODY - 4) + b'"]',
        "backslashes": b'["' + b"\\" * (_LONGEST_BODY - 4) + b'"]',
        "quotes": b'["' + b'\\"' * (half - 2) + b'"]',
        "rows in a text": b'["' + b"},{" * (_LONGEST_BODY // 3 - 2) + b'"]',
        "one number": b"[" + b"1" * (_LONGEST_BODY - 2) + b"]",
        "not UTF-8": b'["' + b"\xff" * (_LONGEST_BODY - 4) + b'"]',
        "one object": b"[{" + b",".join(b'"k%d":1' % n for n in range(1_350_000)) + b"}]",
        "no commas": b"[" + VALID * (_LONGEST_BODY // len(VALID)) + b"]",
        "ones, encoded twice": b'"' + _full_of(b"1") + b'"',
        "deep, encoded twice": b'"' + b"[" * (_LONGEST_BODY - 2) + b'"',
        "escapes": b'"' + b"\\u005b" * (_LONGEST_BODY // 6) + b'"',
        "escaped ones": b'"' + b"\\u005b1" + b",\\u0031" * (_LONGEST_BODY // 7 - 2) + b"]" + b'"',
        "valid rows": _full_of(VALID),
        "repeated keys": _full_of(VALID[:-1] + b',"x":1,"x":1}'),
        "surrogates": _full_of(VALID.replace("Е".encode(), b"\\ud800")),
        "texts": _full_of(b'"' + b"a" * 700 + b'"'),
    }


_HOSTILE = _hostile()


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_array_is_refused_in_bounded_memory(name: str) -> None:
    body = _HOSTILE[name]
    assert _LONGEST_BODY * 0.9 < len(body) <= _LONGEST_BODY + 2
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        result = outcome(_decoder(), body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most - before < 2.5 * len(body)
    # One row that is too long is refused alone: then there is no other.
    assert isinstance(result, str) or (len(result) == 1 and "longer" in result[0][1])


@pytest.mark.parametrize("name", _HOSTILE)
def test_no_step_of_a_hostile_array_is_long(name: str) -> None:
    """By the processor's time: 20 ms are the aim, a tenth of what all of it takes at once."""
    slices = _decoder().slices(_HOSTILE[name])
    longest, ended = 0.0, False
    # As in a worker, which collects garbage at swaps only. Here a collection of what thousands of
    # tests have left would count as a step.
    gc.disable()
    try:
        while not ended:
            began = time.thread_time()
            try:
                next(slices)
            except (StopIteration, InvalidRequest):
                ended = True
            longest = max(longest, time.thread_time() - began)
    finally:
        gc.enable()
    assert longest < 0.2
