"""A sample of readings in a CSV file, such as the customer's own test rows; labels are ignored."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Final

import msgspec

from model.errors import ModelRefused
from model.regno.request import FIELDS, Reading, from_fields
from model.utf8 import UTF16, looks_like_utf16

# Of a header.
_START: Final = 64


def read(sample: Path) -> Iterator[Reading | None]:
    """Each row of a CSV file, None for one that is no reading. Raises ModelRefused."""
    try:
        with sample.open("rb") as file:
            if looks_like_utf16(file.peek(_START)[:_START]):
                raise ModelRefused(f"{sample} can't be read as CSV: {UTF16}")
            rows = csv.DictReader(TextIOWrapper(file, "utf-8-sig", newline=""))
            _check_header(rows.fieldnames or (), sample)
            for row in rows:
                yield _reading(row)
    except (OSError, UnicodeError, csv.Error) as error:
        raise ModelRefused(f"{sample} can't be read as CSV in UTF-8") from error


def _check_header(names: Sequence[str], sample: Path) -> None:
    if missing := [name for name in FIELDS if name not in names]:
        raise ModelRefused(f"the header of {sample} lacks {', '.join(missing)}")


def _reading(row: Mapping[str, str]) -> Reading | None:
    try:
        return from_fields(**{name: row[name] for name in FIELDS})
    except msgspec.ValidationError:
        return None
