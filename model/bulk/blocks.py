"""A CSV file cut into blocks of whole rows, without parsing it."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO, Final, NamedTuple

from model.bulk.errors import TableRefused

_HEADER_BYTES: Final = 1 << 20
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

    A block ends where a row ends: at a line end with an even number of quotes before it.
    There is always a block, if only an empty one.
    Raises TableRefused when a quoted cell seems to have no end.
    """
    at = 2
    while True:
        block = list(islice(file, lines))
        text = b"".join(block)
        if text.count(b'"') % 2:
            block += _to_even_quotes(file, at + len(block))
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


def read_span(file: BinaryIO, span: Span) -> Block:
    """The block at a place of a file. Raises TableRefused when the file became shorter."""
    text = os.pread(file.fileno(), span.size, span.at)
    if len(text) < span.size:
        raise TableRefused("it changed while it was read")
    return Block(text, span.line)


def _to_even_quotes(file: BinaryIO, at: int) -> list[bytes]:
    more: list[bytes] = []
    for line in islice(file, _QUOTED_LINES):
        more.append(line)
        if line.count(b'"') % 2:
            return more
    if len(more) == _QUOTED_LINES:
        raise TableRefused(f"a quote before line {at} has no partner")
    return more
