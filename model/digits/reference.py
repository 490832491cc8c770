"""Drift: pictures and their confidences by the bins of a reference, and how one is made."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from model.digits.ink import Array, Ink
from model.digits.request import Picture, PictureFile, decoder
from model.drift.counter import SCORE, DriftCounter, Variable, numeric
from model.errors import InvalidRequest, ModelRefused
from model.tables.errors import TableRefused

# What is counted of a picture beside its score: the network takes the pixels.
FEATURES: Final = ("brightness", "ink", "size")
# What the images of MNIST tell: they are all dark, and of one size.
OF_INK: Final = ("ink",)
_PARCEL_ROWS: Final = 500


class InkDrift(DriftCounter):
    """Counts pictures by the bins of a reference."""

    def add_rows(self, rows: Sequence[Ink], positives: Sequence[float]) -> None:
        """Count pictures with these confidences."""
        super().add_rows(list(map(_values_of, rows)), positives)

    def expected(self, scores: Array) -> Array:
        """How probably the answers are right: as probably as they say."""
        return scores


def reference(
    inks: Sequence[Ink], confidences: Sequence[float], features: Sequence[str] = FEATURES
) -> list[Variable]:
    """The variables of pictures and their scores. The features count equally."""
    columns = dict(zip(FEATURES, zip(*map(_values_of, inks), strict=True), strict=True))
    importance = round(1 / len(features), 6)
    variables = [
        msgspec.structs.replace(numeric(name, columns[name]), importance=importance)
        for name in features
    ]
    return [*variables, numeric(SCORE, np.asarray(confidences).tolist())]


def read(sample: Path) -> Iterator[Picture | None]:
    """The picture of each row of a table with a column `image`, None for a row without a digit.

    The column has files in base64. Raises ModelRefused for a file that is no such table.
    """
    # They load pyarrow, which takes memory: what serves reads no files.
    from model.tables.cells import cells_of  # noqa: PLC0415
    from model.tables.table import open_table  # noqa: PLC0415

    try:
        with open_table(sample, PictureFile.__struct_fields__) as table:
            for parcel in table.parcels(_PARCEL_ROWS):
                (cells,) = cells_of(parcel, table.layout).columns
                yield from map(_picture, cells.to_pylist())
    except TableRefused as reason:
        raise ModelRefused(f"{sample} can't be read: {reason.reason}") from reason
    except OSError as error:
        raise ModelRefused(f"{sample} can't be read: {error.strerror or error}") from error


def _picture(cell: str | bytes | None) -> Picture | None:
    text = cell.decode("ascii", "replace") if isinstance(cell, bytes) else cell
    try:
        picture = decoder(1)(msgspec.json.encode({"image": text}))
    except InvalidRequest:
        return None
    return picture if isinstance(picture, Picture) else None


def _values_of(ink: Ink) -> tuple[float, float, float]:
    """The values of `FEATURES` of a picture."""
    return ink.brightness, ink.share, float(ink.size)
