"""Values of headers that a publisher may send and Python can't represent."""

import struct

import pytest
from pika import data

import service.amqp.connection  # noqa: F401 - it changes what pika does with them


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (b"T", struct.pack(">Q", 2**63)),
        (b"T", struct.pack(">Q", 253_402_300_800)),
        (b"d", struct.pack(">d", float("nan"))),
        (b"d", struct.pack(">d", float("inf"))),
        (b"f", struct.pack(">f", float("nan"))),
    ],
)
def test_a_value_that_is_none_does_not_spoil_the_others(kind: bytes, value: bytes) -> None:
    cells = b"\x01a" + kind + value + b"\x01bS" + struct.pack(">I", 1) + b"x"
    table = struct.pack(">I", len(cells)) + cells
    assert data.decode_table(table, 0) == ({"a": None, "b": "x"}, len(table))


def test_other_values_are_as_they_were() -> None:
    pieces: list[bytes] = []
    data.encode_table(pieces, {"n": 7, "list": [1, "x"], "none": None})
    table = b"".join(pieces)
    assert data.decode_table(table, 0)[0] == {"n": 7, "list": [1, "x"], "none": None}
