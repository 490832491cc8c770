"""A CSV file cut into blocks of whole rows, without parsing it."""

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from model.tables.errors import TableRefused

_HEADER_BYTES: Final = 1 << 20
# Of one row beyond its block.
_ROW_LINES: Final = 10_000


class Block(NamedTuple):
    """Whole rows of a file as its bytes; `line` (from 1) is the file's line they begin at.

    `is_plain`: each quote begins or ends a cell, so it is plain that no cell is open at the end.
    """

    text: bytes
    line: int
    is_plain: bool = False


def read_header(file: BinaryIO, lines: int = 1) -> bytes:
    """The first lines with their ends. Raises TableRefused when one is none of sensible length."""
    header = [file.readline(_HEADER_BYTES) for _ in range(lines)]
    if not header[0]:
        raise TableRefused("it is empty")
    if max(map(len, header)) == _HEADER_BYTES:
        raise TableRefused("its first line is not a header: it is too long")
    return b"".join(header)


def blocks(file: BinaryIO, lines: int, sep: str = ",", begin: int = 2) -> Iterator[Block]:
    """The rest of the file, from line `begin` on, in blocks of about `lines` lines.

    The first has exactly so many or a few more, the others as many bytes as the first or a few
    more. A block ends where a row ends: at a line end that is in no quoted cell.
    There is always a block, if only an empty one.
    Raises TableRefused when a quoted cell seems to have no end.
    """
    at = begin
    text = b"".join(islice(file, lines))
    size = len(text)
    while True:
        is_plain = _is_plain(text, sep.encode())
        if not is_plain:
            text += _rest_of_row(text, file, at, sep)
        yield Block(text, at, is_plain)
        at += int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord("\n")))
        text = file.read(size) + file.readline()
        if not text:
            return


def _is_plain(text: bytes, sep: bytes) -> bool:
    """Whether every other quote begins a cell, so that no quoted cell is open at the end.

    Every row passes here, so it is quick. What is not plain is parsed.
    """
    if b"\r" in text and text.count(b"\r") != text.count(b"\r\n"):
        return False  # a lone one ends the parsing of its row
    characters = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(characters == ord('"'))
    begins = quotes[::2]
    before = characters[begins - 1]
    begin = (before == ord(sep)) | (before == ord("\n")) | (begins == 0)
    return len(quotes) % 2 == 0 and bool(begin.all())


def _rest_of_row(text: bytes, file: BinaryIO, at: int, sep: str) -> bytes:
    """What follows a block up to the end of a row that it may leave open.

    `at` is the file's line that the block begins at. Each line is parsed once.
    """
    block, more = io.BytesIO(text).readlines(), list[bytes]()

    def following() -> Iterator[bytes]:
        for line in islice(file, _ROW_LINES):
            more.append(line)
            yield line

    csv.field_size_limit(sys.maxsize)
    lines = chain(block, following())
    decoded = (line.decode(errors="surrogateescape") for line in lines)
    reader = csv.reader(decoded, delimiter=sep)
    begin = 0
    while reader.line_num < len(block):
        begin = reader.line_num
        with suppress(csv.Error):  # of this row alone
            next(reader)
    if len(more) == _ROW_LINES:
        raise TableRefused(f"a quote at or after line {at + begin} has no partner")
    return b"".join(more)
