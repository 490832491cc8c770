"""Captured readings as a Parquet file that `model.train` reads once labels are joined."""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, Final

from model.redaction import is_whole_plate
from model.regno.plates import TWINS
from model.regno.request import Reading, WallClock
from model.scorer import Captured

# Signs that are exchanged among themselves, those that look alike in the same way. D stays: formats
# know it.
_KINDS: Final = (
    ("0123456789",),
    ("".join(TWINS), "".join(TWINS.values())),
    ("FGIJLNQRSUVWZ",),
    ("БГДЁЖЗИЙЛПФЦЧШЩЪЫЬЭЮЯ",),
)
_NAMES: Final = ("camera_type", "camera_class")
_PLATES: Final = ("regno_recognize", "afts_regno_ai")


def write(path: Path, rows: Sequence[Captured], *, plates: bool) -> None:
    """Write rows to a new file that appears whole, readable for its owner alone.

    Unless `plates`, the digits and letters of both readings are exchanged for others, drawn anew
    for each row. Raises OSError.
    """
    if not sys.modules.get("pyarrow", True):
        del sys.modules["pyarrow"]  # a service keeps it from pandas so
    import pyarrow as pa  # noqa: PLC0415 - takes memory: for those who capture alone
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pa.Table.from_pylist([_cells(row, plates=plates) for row in rows])
    aside = path.with_name(f".{path.name}.part")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            pq.write_table(table, file)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _cells(of: Captured, *, plates: bool) -> dict[str, Any]:
    fields = {name: _plain(getattr(of.request, name)) for name in Reading.__struct_fields__}
    return {
        "request_id": of.request_id,
        "row": of.row,
        "captured": datetime.fromtimestamp(of.captured, UTC),
        "model": of.model,
        "positive": of.positive,
        **(fields if plates else masked(fields, SystemRandom())),
    }


def _plain(value: object) -> object:
    if isinstance(value, WallClock):
        return f"{date.fromordinal(value.day)} {value.hour:02}:00:00"
    return list(value) if isinstance(value, list) else value


def masked(fields: Mapping[str, Any], random: Random) -> dict[str, Any]:
    """The fields with other digits and letters in both readings, and no plate in a name.

    Each sign is exchanged for the same other one in both, so that lengths, formats and the places
    where the readings differ stay.
    """
    exchanged: dict[str, str] = {}
    for alike in _KINDS:
        order = random.sample(range(len(alike[0])), len(alike[0]))
        for kind in alike:
            others = "".join(kind[place] for place in order)
            exchanged |= zip(kind + kind.lower(), others + others.lower(), strict=True)
    signs = str.maketrans(exchanged)
    hidden = {name: fields[name].translate(signs) for name in _PLATES}
    named = {name: "" for name in _NAMES if is_whole_plate(fields[name])}
    return {**fields, **hidden, **named}
