"""Bodies that were valid once: flipped, cut, spliced, or JSON put together wrong."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.support.paths import GOLDEN, lines

_ROWS: list[dict[str, Any]] = [line["request"] for line in lines(GOLDEN)[:20]]
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """A valid body in one of its forms: object or array, escaped or not, perhaps encoded twice."""
    row = draw(st.sampled_from(_ROWS))
    many = draw(st.booleans())
    text = json.dumps([row, _ROWS[0]] if many else row, ensure_ascii=draw(st.booleans()))
    return json.dumps(text).encode() if draw(st.booleans()) else text.encode()


@st.composite
def flipped(draw: st.DrawFn) -> bytes:
    """A valid body with some bits turned over."""
    body = bytearray(draw(_bodies()))
    for _ in range(draw(st.integers(1, 6))):
        body[draw(st.integers(0, len(body) - 1))] ^= draw(st.integers(1, 255))
    return bytes(body)


@st.composite
def spliced(draw: st.DrawFn) -> bytes:
    """The beginning of one valid body and the end of another, or of the same; perhaps nothing."""
    first, second = draw(_bodies()), draw(_bodies())
    return first[: draw(st.integers(0, len(first)))] + second[draw(st.integers(0, len(second))) :]


@st.composite
def _wrong_row(draw: st.DrawFn) -> Any:
    """A request with fields taken away, swapped, added, wrapped or replaced."""
    row: dict[str, Any] = {**draw(st.sampled_from(_ROWS))}
    for _ in range(draw(st.integers(1, 3))):
        one, other = (draw(st.sampled_from(sorted(_ROWS[0]))) for _ in range(2))
        match draw(st.sampled_from(["drop", "swap", "add", "wrap", "encode", "replace"])):
            case "drop":
                row.pop(one, None)
            case "swap":
                row[one], row[other] = row.get(other), row.get(one)
            case "add":
                row[draw(st.text())] = draw(VALUES)
            case "wrap":
                row[one] = draw(st.sampled_from([[row.get(one)], {one: row.get(one)}]))
            case "encode":
                row[one] = json.dumps(row.get(one))
            case "replace":
                row[one] = draw(VALUES)
    return row


def _named_twice(row: dict[str, Any], name: str, value: object) -> str:
    """JSON that names a field once more, at its end."""
    return f"{json.dumps(row)[:-1]}, {json.dumps(name)}: {json.dumps(value)}}}"


@st.composite
def restructured(draw: st.DrawFn) -> bytes:
    """A body whose JSON is whole and whose structure is not what was agreed."""
    row = draw(_wrong_row())
    match draw(st.sampled_from(["one", "many", "nested", "text", "texts", "twice"])):
        case "one":
            return json.dumps(row).encode()
        case "many":
            return json.dumps([row, _ROWS[0], draw(_wrong_row())]).encode()
        case "nested":
            return json.dumps([[row]]).encode()
        case "text":
            return json.dumps(json.dumps(row)).encode()
        case "texts":
            return json.dumps([json.dumps(row), json.dumps([row])]).encode()
    name = draw(st.sampled_from(sorted(_ROWS[0])))
    return _named_twice(_ROWS[0], name, draw(VALUES)).encode()
