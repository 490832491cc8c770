"""A CSV file cut into blocks of whole rows, without parsing it."""

import csv
import os
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from model.tables.errors import TableRefused
from model.tables.format import HEADER_LINES

_HEADER_BYTES: Final = 1 << 20
# Of one row beyond its block.
_ROW_LINES: Final = 10_000


class Block(NamedTuple):
    """Whole rows of a file as its bytes; `line` (from 1) is the file's line they begin at."""

    text: bytes
    line: int


class Span(NamedTuple):
    """Where a block lies in its file: `size` bytes from `at` on. For other processes to read."""

    at: int
    size: int
    line: int


def read_header(file: BinaryIO, sep: str = ",") -> bytes:
    """The first row with its line end: more than a line if quoted names have line ends.

    Raises TableRefused when there is none of sensible length.
    """
    lines: list[bytes] = []

    def following() -> Iterator[str]:
        while len(lines) < HEADER_LINES and (line := file.readline(_HEADER_BYTES)):
            lines.append(line)
            # Behind a mark of the encoding, a quote would not begin a cell.
            yield line.removeprefix(BOM_UTF8).decode(errors="surrogateescape")

    csv.field_size_limit(sys.maxsize)
    with suppress(csv.Error, StopIteration):  # who reads the names says what is wrong
        next(csv.reader(following(), delimiter=sep))
    if not lines:
        raise TableRefused("it is empty")
    if max(map(len, lines)) == _HEADER_BYTES:
        raise TableRefused("its first line is no header: it is too long")
    return b"".join(lines)


def blocks(file: BinaryIO, lines: int, sep: str = ",", begin: int = 2) -> Iterator[Block]:
    """The rest of the file, from line `begin` on, in blocks of `lines` lines or a few more.

    A block ends where a row ends: at a line end that is in no quoted cell.
    There is always a block, if only an empty one.
    Raises TableRefused when a quoted cell seems to have no end.
    """
    at = begin
    while True:
        block = list(islice(file, lines))
        text = b"".join(block)
        if not _is_plainly_whole(text, sep.encode()):
            block += _rest_of_row(block, file, at, sep)
            text = b"".join(block)
        if text or at == begin:
            yield Block(text, at)
        if not text:
            return
        at += len(block)


def spans(header: bytes, found: Iterable[Block]) -> Iterator[Span]:
    """Where the blocks of a file lie that begins with a header."""
    at = len(header)
    for block in found:
        yield Span(at, len(block.text), block.line)
        at += len(block.text)


class Identity(NamedTuple):
    """The identity and state of a file: equal only while it is neither replaced nor written."""

    device: int
    inode: int
    size: int
    changed_ns: int


def identity(file: BinaryIO) -> Identity:
    """The identity of an open file."""
    status = os.fstat(file.fileno())
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def read_span(file: BinaryIO, span: Span) -> Block:
    """The block at a place of a file. Raises TableRefused when the file became shorter."""
    text = os.pread(file.fileno(), span.size, span.at)
    if len(text) < span.size:
        raise TableRefused("it changed while it was read")
    return Block(text, span.line)


def _is_plainly_whole(text: bytes, sep: bytes) -> bool:
    """Whether it is plain that no quoted cell is open at the end: every other quote begins one.

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


def _rest_of_row(block: list[bytes], file: BinaryIO, at: int, sep: str) -> list[bytes]:
    """The lines that follow a block up to the end of a row that it may leave open.

    `at` is the file's line that the block begins at. Each line is parsed once.
    """
    more: list[bytes] = []

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
    return more
