"""Tables of picture files: the requests of their rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from model.errors import InvalidRequest, ModelRefused
from model.pictures.picture_decoder import PictureDecoder
from model.tables.errors import TableRefused

R = TypeVar("R")

_PARCEL_ROWS: Final = 500


def requests_of(
    table: Path, decoder: PictureDecoder[Any, R], others: Sequence[str] = ()
) -> Iterator[R | None]:
    """The request of each row, None for an invalid one.

    The column `image` has files in base64; of the `others` those are read that there are.
    Raises ModelRefused for a file that is no such table.
    """
    # They load pyarrow, which takes memory: what serves reads no files.
    from model.tables.cells import cells_of  # noqa: PLC0415
    from model.tables.table import open_table  # noqa: PLC0415

    try:
        with open_table(table, ("image",), optional=others) as opened:
            names = opened.layout.wanted
            for parcel in opened.parcels(_PARCEL_ROWS):
                columns = [column.to_pylist() for column in cells_of(parcel, opened.layout).columns]
                for cells in zip(*columns, strict=True):
                    yield _request(decoder, dict(zip(names, cells, strict=True)))
    except TableRefused as reason:
        raise ModelRefused(f"{table} can't be read: {reason.reason}") from reason
    except OSError as error:
        raise ModelRefused(f"{table} can't be read: {error.strerror or error}") from error


def _request(decoder: PictureDecoder[Any, R], cells: dict[str, str | bytes | None]) -> R | None:
    texts = {
        name: cell.decode("ascii", "replace") if isinstance(cell, bytes) else cell
        for name, cell in cells.items()
    }
    try:
        request = decoder(msgspec.json.encode(texts))
    except InvalidRequest:
        return None
    return None if isinstance(request, list) else request
