"""Where the elements of an array end: as any JSON parser finds it, however the array is long."""

import json
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import json_split as module
from model.json_split import NotAnArray, ends_of_elements

# What looks like the end of an element, and is none.
_TEXTS = st.text(st.sampled_from('[]{},:"\\ \n\tя🚗a\u2028'), max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
_FORMS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 1, "\t"]),
        "separators": st.sampled_from([(",", ":"), (" , ", " : "), (",\r\n", ":\n")]),
    }
)


def elements(body: bytes) -> list[bytes]:
    """The bytes between the places."""
    ends = list(chain.from_iterable(ends_of_elements(body)))
    return [body[begin + 1 : end] for begin, end in pairwise([0, *ends])]


@given(st.lists(_VALUES, min_size=1, max_size=8), _FORMS, st.integers(1, 40))
def test_each_element_is_found_wherever_pieces_are_cut(
    values: list[Any], form: dict[str, Any], size: int
) -> None:
    body = json.dumps(values, **form).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_PIECE", size)
        assert list(map(json.loads, elements(body))) == values


@pytest.mark.parametrize("blank", [b"", b" ", b"\r\n\t "])
def test_an_array_of_nothing_but_blanks_has_one(blank: bytes) -> None:
    assert elements(b"[" + blank + b"]") == [blank]


def test_what_lies_between_commas_need_not_be_json() -> None:
    assert elements(b"[,1 2,{[}],x]") == [b"", b"1 2", b"{[}]", b"x"]


def test_they_come_a_piece_at_a_time() -> None:
    body = b"[" + b"1," * 1_000_000 + b"1]"
    steps = [len(ends) for ends in ends_of_elements(body)]
    assert sum(steps) == 1_000_001
    assert max(steps) <= 32 * 1024 + 1
    assert len(steps) > 30


@pytest.mark.parametrize("size", [1, 3, 1 << 16])
@pytest.mark.parametrize(
    "body",
    [
        *(b"[", b"[1", b"[[1]", b'["]', b'["a\\"]', b'["a\\\\\\"]', b"[{]", b"[1}x", b"[1],[2]"),
        *(b"[1]]", b"[1] [2]", b"[]1", b"[1]x", b'["a"]"', b"[" * 1000, b"[" + b"]" * 1000),
    ],
)
def test_an_array_must_end_where_its_bytes_do(
    body: bytes, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE", size)
    with pytest.raises(NotAnArray):
        elements(body)


@given(st.text('[]{},"\\ 1', max_size=30), st.integers(1, 8))
def test_any_bytes_are_split_alike_however_they_are_cut(text: str, size: int) -> None:
    body = b"[" + text.encode()
    with pytest.MonkeyPatch.context() as patched:
        whole = _outcome(body)
        patched.setattr(module, "_PIECE", size)
        assert _outcome(body) == whole


def _outcome(body: bytes) -> list[bytes] | None:
    try:
        return elements(body)
    except NotAnArray:
        return None
