"""Drift: photos and their scores by the bins of a reference, and how one is made."""

from collections.abc import Sequence
from typing import Final

import msgspec

from model.drift.counter import SCORE, DriftCounter, Variable, numeric
from model.imagenet.crop import Crop
from model.imagenet.request import Picture

# What is counted of a photo beside its score: the network takes the pixels.
FEATURES: Final = ("brightness", "contrast", "shape", "size")
# What photos of other people tell of yours: their sizes and shapes are those of their album.
OF_PHOTOS: Final = ("brightness", "contrast")
# Of the rows and columns of a crop every so many-th: the others are like their neighbours.
_STEP: Final = 4


class PhotoDrift(DriftCounter):
    """Counts photos by the bins of a reference."""

    def add_rows(self, rows: Sequence[Picture], positives: Sequence[float]) -> None:
        """Count photos with these scores."""
        if self.reference:
            super().add_rows([_values_of(row.image) for row in rows], positives)


def reference(
    crops: Sequence[Crop],
    features: Sequence[str] = FEATURES,
    scores: Sequence[float] | None = None,
) -> list[Variable]:
    """The variables of photos, which count equally, and of their scores if these are given."""
    columns = dict(zip(FEATURES, zip(*map(_values_of, crops), strict=True), strict=True))
    importance = round(1 / len(features), 6)
    variables = [
        msgspec.structs.replace(numeric(name, columns[name]), importance=importance)
        for name in features
    ]
    return variables if scores is None else [*variables, numeric(SCORE, scores)]


def _values_of(crop: Crop) -> tuple[float, float, float, float]:
    """The values of `FEATURES` of a photo.

    Mean and standard deviation of what the network sees, from 0 to 1; width by height, and the
    longer side in pixels, of the picture as it was decoded.
    """
    seen = crop.pixels[::_STEP, ::_STEP] / 255
    width, height = crop.size
    return float(seen.mean()), float(seen.std()), width / height, float(max(crop.size))
