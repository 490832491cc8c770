"""The first line of a CSV file: which columns there are, and where the wanted ones stand."""

import csv
from functools import lru_cache
from typing import NamedTuple

from model.tables.columns import places
from model.tables.errors import TableRefused
from model.utf8 import UTF16, looks_like_utf16


def column_names(header: bytes) -> list[str]:
    """The names in a header. Raises TableRefused when it is none in UTF-8."""
    if looks_like_utf16(header):
        raise TableRefused(UTF16)
    try:
        return next(csv.reader([header.decode("utf-8-sig")]))
    except (UnicodeError, csv.Error, StopIteration) as error:
        raise TableRefused("its first line is no CSV header in UTF-8") from error


class Layout(NamedTuple):
    """How many cells a row has, where the wanted ones are, and the output's header and line end."""

    width: int
    wanted: list[int]
    header: bytes
    end: bytes


@lru_cache(1)
def layout(header: bytes, wanted: tuple[str, ...], added: tuple[str, ...]) -> Layout:
    """The layout of a file that gets columns more. Raises TableRefused, naming what hinders it."""
    names = column_names(header)
    if taken := [name for name in added if name in names]:
        raise TableRefused(f"it already has the output's columns: {', '.join(taken)}")
    end = b"\r\n" if header.endswith(b"\r\n") else b"\n"
    more = header.removesuffix(end) + ",".join(("", *added)).encode() + end
    return Layout(len(names), places(names, wanted), more, end)
