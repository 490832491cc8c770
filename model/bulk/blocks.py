"""A CSV file cut into blocks of whole rows, without parsing it."""

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO, Final, NamedTuple

from model.bulk.errors import TableRefused

_HEADER_BYTES: Final = 1 << 20
_NEXT: Final = "the next row"
_QUOTED_LINES: Final = 10_000


class Block(NamedTuple):
    """Whole rows of a file as its bytes; `line` (from 1) is the file's line they begin at."""

    text: bytes
    line: int


class Span(NamedTuple):
    """Where a block lies in its file: `size` bytes from `at` on. For other processes to read."""

    at: int
    size: int
    line: int


def read_header(file: BinaryIO) -> bytes:
    """The first line with its end. Raises TableRefused when there is none of sensible length."""
    header = file.readline(_HEADER_BYTES)
    if not header:
        raise TableRefused("it is empty")
    if len(header) == _HEADER_BYTES:
        raise TableRefused("its first line is no header: it is too long")
    return header


def blocks(file: BinaryIO, lines: int) -> Iterator[Block]:
    """The rest of the file after its header, in blocks of `lines` lines or a few more.

    A block ends where a row ends: at a line end that is in no quoted cell.
    There is always a block, if only an empty one.
    Raises TableRefused when a quoted cell seems to have no end.
    """
    at = 2
    while True:
        block = list(islice(file, lines))
        text = b"".join(block)
        # A line with an even number of quotes neither opens a cell nor closes one.
        while any(line.count(b'"') % 2 for line in block) and not _is_whole(text):
            more = _to_next_quote(file, at + len(block))
            if not more:
                break
            block += more
            text = b"".join(block)
        if text or at == 2:
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
    """Which file this is, and in which state: equal only while nobody replaces or writes it."""

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


def _is_whole(text: bytes) -> bool:
    """Whether no quoted cell is open at the end; a quote within a bare cell opens none."""
    decoded = text.decode(errors="surrogateescape")
    lines = io.StringIO(f"{decoded}{_NEXT}\n", newline="\n").readlines()
    csv.field_size_limit(sys.maxsize)
    try:
        *_, last = csv.reader(lines)
    except csv.Error:
        return False
    return last == [_NEXT]


def _to_next_quote(file: BinaryIO, at: int) -> list[bytes]:
    more: list[bytes] = []
    for line in islice(file, _QUOTED_LINES):
        more.append(line)
        if b'"' in line:
            return more
    if len(more) == _QUOTED_LINES:
        raise TableRefused(f"a quote before line {at} has no partner")
    return more
