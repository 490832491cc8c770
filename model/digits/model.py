"""Digits as a model of the catalog."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from model.digits import golden, request
from model.digits.manifest import Manifest
from model.digits.reference import reference
from model.digits.request import Picture, PictureFile
from model.digits.score import Digit
from model.digits.scorer import DigitsScorer
from model.pictures.picture_decoder import PictureDecoder
from model.pictures.picture_table import requests_of
from model.scorer import Model

if TYPE_CHECKING:
    from model.bulk.outcome import Scored
    from model.tables.cells import Cells

BUNDLED: Final = Path(__file__).with_name("model.onnx")


class DigitsModel(Model):
    """The scorer of pictures of digits."""

    name = DigitsScorer.name
    request = PictureFile
    score = Digit

    def decoder(self, max_rows: int, /) -> PictureDecoder[PictureFile, Picture]:
        """What reads bodies: one picture, or an array of at most `max_rows`."""
        return request.decoder(max_rows)

    def load(self, path: Path, positive_class: str = "") -> DigitsScorer:
        """The scorer of an ONNX file and the manifest next to it. Raises ModelRefused."""
        del positive_class
        return DigitsScorer.load(path)

    def manifest(self, scorer: DigitsScorer, path: Path, sample: Path | None, /) -> Manifest:
        """The manifest of a scorer, or one derived from its file."""
        del sample
        if scorer.manifest:
            return scorer.manifest
        rows = [scorer.row(picture) for picture in golden.pictures()]
        scores = scorer.probabilities(rows).tolist()
        return Manifest(self.name, scorer.version, path.name, scorer.sha256, scores)

    def with_reference(self, manifest: Manifest, scorer: DigitsScorer, rows: Path, /) -> Manifest:
        """The same with the drift reference of a table of pictures. Raises ModelRefused."""
        inks = [picture.image for picture in self.read_requests(rows) if picture]
        confidences = [score.confidence for score in scorer.predict(inks)]
        return msgspec.structs.replace(manifest, reference=reference(inks, confidences))

    def read_requests(self, path: Path, /) -> Iterator[Picture | None]:
        """The pictures of a table, None for an invalid row. Raises ModelRefused."""
        return requests_of(path, request.decoder(1))

    def trial_requests(self) -> Sequence[Picture]:
        """The golden pictures."""
        return golden.pictures()

    def schemas(self, ref_template: str, /) -> dict[str, Any]:
        """JSON Schemas of pictures and scores."""
        kinds = (PictureFile, Digit)
        return msgspec.json.schema_components(kinds, ref_template=ref_template)[1]

    def score_cells(self, artifact: str, cells: "Cells", positive_class: str = "") -> "Scored":
        """The scores of the rows of a table, whose column `image` has the files in base64.

        A cell holds one value: candidates are written as 5:0.98, and lists with spaces between.
        """
        scored = super().score_cells(artifact, cells, positive_class)
        columns = {
            **scored.columns,
            "top": [
                " ".join(f"{one.digit}:{one.probability:g}" for one in cell or ())
                for cell in scored.columns["top"]
            ],
            "probabilities": [
                " ".join(map(repr, cell or ())) for cell in scored.columns["probabilities"]
            ],
        }
        return scored._replace(columns=columns)


MODEL = DigitsModel()
