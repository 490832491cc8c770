"""A CSV file cut into blocks of rows, and blocks into cells."""

import csv
import io
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from model.regno.columns.checked import check
from model.tables.blocks import Block, blocks
from model.tables.csv_cells import _careful, _quick, read_cells
from model.tables.errors import TableRefused
from tests.support.messages import mentions, stating
from tests.support.tables import (
    HEADER,
    as_csv,
    samples,
    scored,
)


@pytest.mark.parametrize("lines", [1, 2, 3, 100])
def test_blocks_end_where_rows_end(lines: int) -> None:
    rows = [b'a,"x\ny"\n', b"b,c\n", b'd,"""\n\n"""\n', b"e"]
    cut = list(blocks(io.BytesIO(b"".join(rows)), lines))
    assert b"".join(block.text for block in cut) == b"".join(rows)
    result = [row for block in cut for row in read_cells(block, 2, range(2)).rows.to_pylist()]
    assert result == [row.removesuffix(b"\n") for row in rows[:3]] + [b"e,"]
    at = 2
    for block in cut:
        assert block.line == at
        at += block.text.count(b"\n")


@given(st.lists(st.lists(st.text('a,"\n\r\t я', max_size=5), min_size=2, max_size=2), max_size=9))
def test_cells_are_those_of_the_csv_module(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    cells = read_cells(Block(out.getvalue().encode(), 2), 2, range(2))
    assert cells.faults == {}
    result = [list(row) for row in zip(*map(pa.Array.to_pylist, cells.columns), strict=True)]
    assert result == [row for row in rows if any(row)]
    assert cells.empty == len(rows) - len(result)


@pytest.mark.parametrize(
    ("header", "facts"),
    [
        (b"a,b\n", ("header lacks regno_recognize, ",)),
        (HEADER.rstrip() + b",direction\n", ("header", "twice: direction")),
        (HEADER.rstrip() + b",error\n", ("output", "columns: error")),
        (b"\xff\n", ("first line", "not a CSV header")),
    ],
)
def test_headers_that_are_refused(header: bytes, facts: tuple[str, ...]) -> None:
    with pytest.raises(TableRefused, match=stating(*facts)):
        scored(header)


def test_a_quote_without_partner_is_refused() -> None:
    line = as_csv(samples(1)).splitlines()[1]
    with pytest.raises(TableRefused, match=stating("quote", "line 7 ")):
        read_cells(Block(line + b',"x\n', 7), 10, range(10))
    with pytest.raises(TableRefused, match=stating("quote", "line 4 ")):
        list(blocks(io.BytesIO(b'b\nb\n"\n' + b"a\n" * 20_000), 10))


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(st.text('a ,"\n\r\0', max_size=14).map(str.encode))
def test_both_readers_of_csv_read_the_same(text: bytes) -> None:
    block = Block(text, 2)
    quick = _quick(block, 2, range(2), ",")
    assume(quick is not None)
    assert quick is not None
    careful = _careful(block, 2, range(2), ",")
    assert quick.empty == careful.empty == 0
    for one, other in zip(quick[:4], careful[:4], strict=True):
        assert list(one) == list(other)


@given(st.lists(st.text('a,"\n\r\0', max_size=6).map(str.encode), max_size=12), st.integers(1, 4))
def test_any_bytes_are_cut_only_where_the_csv_module_ends_a_row(
    pieces: list[bytes], lines: int
) -> None:
    text = b"\n".join(pieces)
    try:
        whole = rows_of(Block(text, 2))
    except TableRefused:
        reject()
    cut = list(blocks(io.BytesIO(text), lines))
    assert b"".join(block.text for block in cut) == text
    assert [row for block in cut for row in rows_of(block)] == whole


def rows_of(block: Block) -> list[object]:
    """The line and the bytes of each row, what is wrong with it, and its cells."""
    cells = read_cells(block, 2, range(2))
    faults = [cells.faults.get(row, "") for row in range(len(cells.rows))]
    columns = [column.cast(pa.binary()).to_pylist() for column in cells.columns]
    return list(zip(cells.lines, cells.rows.to_pylist(), faults, *columns, strict=True))


def test_a_bare_cell_may_hold_a_quote_before_a_cell_of_two_lines() -> None:
    text = b'a"b,"c\nd"\n'
    assert [block.text for block in blocks(io.BytesIO(text), 1)] == [text]


def test_a_lone_carriage_return_spoils_its_own_row_only() -> None:
    text = b'a,b\rc\nd,"e\nf"\ng,h\n'
    cut = list(blocks(io.BytesIO(text), 2))
    assert [block.text for block in cut] == [b'a,b\rc\nd,"e\nf"\n', b"g,h\n"]
    result = [read_cells(block, 2, range(2)) for block in cut]
    first, second = (cells.faults for cells in result)
    assert first.keys() == {0}
    assert mentions(first[0], "row", "CSV")
    assert second == {}


@pytest.mark.parametrize(
    "text",
    [
        b'"a\n' + b'x""y\n' * 4000 + b'"\n',
        b'"a\n' + b"x\n" * 4000 + b'"\n',
        b'x"\n' * 4000,
        b'a,"\n' * 4000,
        b'"\n' * 4001,
        b'"a" b"\n' * 4000,
        b'"\r\n' * 4000,
        b'"a\rb"\n' * 4000,
        b'"\0\n' * 4000,
        b'"' * 8000 + b"\n",
        b'"' + b'"",\r' * 4000 + b'"\n',
    ],
    ids=lambda text: repr(text[:12]),
)
@pytest.mark.parametrize("lines", [1, 50, 100_000])
def test_each_line_is_parsed_once(text: bytes, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counted(given: Iterable[str], **how: Any) -> object:
        return csv_reader((parsed.append(line) or line for line in given), **how)  # type: ignore[func-returns-value]

    csv_reader = csv.reader
    monkeypatch.setattr(csv, "reader", counted)
    cut = list(blocks(io.BytesIO(text), lines))
    assert b"".join(block.text for block in cut) == text
    assert sum(map(len, parsed)) <= len(text)
    parsed.clear()
    for block in cut:
        with suppress(TableRefused):
            rows_of(block)
    # And a line that shows the end of each block.
    assert sum(map(len, parsed)) <= len(text) + 40 * len(cut)


def test_faults_that_are_known_stay() -> None:
    cells = read_cells(Block(as_csv(samples(2)).partition(b"\n")[2], 2), 10, range(10))
    checked = check(cells.columns, {1: "known"})
    assert checked.usual.tolist() == [True, False]
    assert checked.faults == {1: "known"}
