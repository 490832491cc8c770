"""A sample of readings in a file, such as the customer's own test rows; labels are ignored."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from model.errors import ModelRefused
from model.regno.request import FIELDS, Reading, from_fields
from model.tables.errors import TableRefused

_PARCEL_ROWS: Final = 5_000


def read(sample: Path) -> Iterator[Reading | None]:
    """Each row of a file of any form that `model.tables` knows, None for one that is not a reading.

    Raises ModelRefused for a file that is no such table.
    """
    # They load pyarrow, which takes memory: what serves reads no files.
    from model.tables.cells import cells_of  # noqa: PLC0415
    from model.tables.table import open_table  # noqa: PLC0415

    try:
        with open_table(sample, FIELDS) as table:
            for parcel in table.parcels(_PARCEL_ROWS):
                cells = cells_of(parcel, table.layout)
                columns = [column.to_pylist() for column in cells.columns]
                for at, row in enumerate(zip(*columns, strict=True)):
                    yield None if at in cells.faults else _reading(row)
    except TableRefused as reason:
        raise ModelRefused(f"{sample} can't be read: {reason.reason}") from reason
    except OSError as error:
        raise ModelRefused(f"{sample} can't be read: {error.strerror or error}") from error


def _reading(row: Sequence[str | bytes]) -> Reading | None:
    try:
        cells = [cell.decode() if isinstance(cell, bytes) else cell for cell in row]
        return from_fields(**dict(zip(FIELDS, cells, strict=True)))
    except (UnicodeError, msgspec.ValidationError):
        return None
