"""A CSV file cut into blocks of rows, and blocks into cells."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bulk.blocks import Block, blocks
from model.bulk.cells import read_cells
from model.bulk.errors import TableRefused
from model.regno.bulk import score_block
from model.regno.csv_rows import check
from tests.support.tables import (
    HEADER,
    as_csv,
    samples,
)


@pytest.mark.parametrize("lines", [1, 2, 3, 100])
def test_blocks_end_where_rows_end(lines: int) -> None:
    rows = [b'a,"x\ny"\n', b"b,c\n", b'd,"""\n\n"""\n', b"e"]
    cut = list(blocks(io.BytesIO(b"".join(rows)), lines))
    assert b"".join(block.text for block in cut) == b"".join(rows)
    found = [row for block in cut for row in read_cells(block, 2).rows]
    assert found == [row.removesuffix(b"\n") for row in rows[:3]] + [b"e,"]
    at = 2
    for block in cut:
        assert block.line == at
        at += block.text.count(b"\n")


@given(st.lists(st.lists(st.text('a,"\n\r\t я', max_size=5), min_size=2, max_size=2), max_size=9))
def test_cells_are_those_of_the_csv_module(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    cells = read_cells(Block(out.getvalue().encode(), 2), 2)
    assert cells.faults == {}
    found = [[cell.decode() for cell in row] for row in zip(*cells.columns, strict=True)]
    assert found == rows


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"a,b\n", "its header lacks regno_recognize, "),
        (HEADER.rstrip() + b",direction\n", "its header names twice: direction"),
        (HEADER.rstrip() + b",error\n", "it already has the output's columns: error"),
        (b"\xff\n", "its first line is no CSV header"),
    ],
)
def test_headers_that_are_refused(header: bytes, message: str) -> None:
    with pytest.raises(TableRefused, match=re.escape(message)):
        score_block("", header, Block(b"", 2))


def test_a_quote_without_partner_is_refused() -> None:
    line = as_csv(samples(1)).splitlines()[1]
    with pytest.raises(TableRefused, match="a quote at or after line 7 has no partner"):
        score_block("", HEADER, Block(line + b',"x\n', 7))
    with pytest.raises(TableRefused, match="a quote before line 12 has no partner"):
        list(blocks(io.BytesIO(b'"\n' + b"a\n" * 20_000), 10))


def test_faults_that_are_known_stay() -> None:
    cells = read_cells(Block(as_csv(samples(2)).partition(b"\n")[2], 2), 10)
    checked = check(cells.columns, {1: "known"}, 1000)
    assert checked.usual.tolist() == [True, False]
    assert checked.faults == {1: "known"}
