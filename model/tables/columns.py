"""Which column of a file is which: headers in other letters, with blanks, in any order."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from model.names import printable
from model.redaction import redact
from model.tables.errors import ColumnsMissing, TableRefused

_BETWEEN: Final = re.compile(r"[\s_.-]+|(?<=[a-z])(?=[A-Z])")
_NUMBER: Final = re.compile(r"-?\d+(?:[.,]\d+)?")
_SHOWN: Final = 12


def plain(name: str) -> str:
    """A name in small letters, with an underscore between its words, none at its ends.

    Blanks, hyphens and dots are between words, and so are a small letter and a capital one.
    """
    return _BETWEEN.sub("_", name.removeprefix("\ufeff").strip()).strip("_").casefold()


def matched(names: Sequence[str], wanted: Sequence[str]) -> Mapping[str, int]:
    """The places of those wanted columns that are there, the same name before a similar one."""
    places: dict[str, int] = {}
    similar: dict[str, int] = {}
    for at, name in enumerate(names):
        similar.setdefault(plain(name), at)
    for name in wanted:
        if name in names:
            places[name] = names.index(name)
        elif plain(name) in similar:
            places[name] = similar[plain(name)]
    return places


def places(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where each of the wanted columns is. Raises TableRefused: what is there and what lacks."""
    found = matched(names, wanted)
    if missing := [name for name in wanted if name not in found]:
        if any(map(_is_number, names)):
            raise TableRefused("its first line has numbers, not names: put a header before it")
        others = [name for at, name in enumerate(names) if at not in found.values()]
        has = f"; it {'also ' if found else ''}has {_listed(others)}" if others else ""
        raise ColumnsMissing(f"its header lacks {', '.join(missing)}{has}", missing)
    kinds = list(map(plain, names))
    if twice := [name for name in wanted if _count(names, kinds, name) > 1]:
        raise TableRefused(f"its header names twice: {', '.join(twice)}")
    return [found[name] for name in wanted]


def _count(names: Sequence[str], kinds: Sequence[str], name: str) -> int:
    """How many columns could be meant by a name."""
    return names.count(name) or kinds.count(plain(name))


def _listed(names: Sequence[str]) -> str:
    # What should be a header may be a row of readings.
    shown = ", ".join(printable(redact(name)) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _is_number(name: str) -> bool:
    return bool(_NUMBER.fullmatch(name.strip()))
