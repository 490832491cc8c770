"""The first line of a CSV file: which columns there are, and where the wanted ones stand."""

import csv
from collections.abc import Sequence

from model.bulk.errors import TableRefused
from model.utf8 import UTF16, looks_like_utf16


def column_names(header: bytes) -> list[str]:
    """The names in a header. Raises TableRefused when it is none in UTF-8."""
    if looks_like_utf16(header):
        raise TableRefused(UTF16)
    try:
        return next(csv.reader([header.decode("utf-8-sig")]))
    except (UnicodeError, csv.Error, StopIteration) as error:
        raise TableRefused("its first line is no CSV header in UTF-8") from error


def places(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where each of the wanted columns is. Raises TableRefused, naming what hinders it."""
    if missing := [name for name in wanted if name not in names]:
        raise TableRefused(f"its header lacks {', '.join(missing)}")
    if twice := [name for name in wanted if names.count(name) > 1]:
        raise TableRefused(f"its header names twice: {', '.join(twice)}")
    return [names.index(name) for name in wanted]
