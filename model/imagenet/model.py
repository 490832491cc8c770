"""Imagenet as a model of the catalog."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from model.imagenet import queries, request
from model.imagenet.crop import Crop
from model.imagenet.manifest import Manifest, golden_picture
from model.imagenet.queries import Query
from model.imagenet.reference import reference
from model.imagenet.request import Picture, PictureFile
from model.imagenet.score import Answer
from model.imagenet.scorer import ImagenetScorer
from model.pictures.picture_decoder import PictureDecoder
from model.pictures.picture_table import requests_of
from model.scorer import Model

if TYPE_CHECKING:
    from model.bulk.outcome import Scored
    from model.tables.cells import Cells

BUNDLED: Final = Path(__file__).with_name("model.onnx")


class ImagenetModel(Model):
    """The scorer of pictures of a thousand things, or of one query alone."""

    request = PictureFile
    score = Answer

    def __init__(self, name: str, query: str = "") -> None:
        """`name` is that of its entry in the catalog; `query` is what is asked of each picture."""
        self.name = name
        self._query = query

    def queries(self) -> Mapping[str, Query]:
        """The queries about a picture, by name."""
        known = queries.queries()
        return {self._query: known[self._query]} if self._query else known

    def decoder(self, max_rows: int, /) -> PictureDecoder[PictureFile, Picture]:
        """What reads bodies: one picture, or an array of at most `max_rows`."""
        return request.decoder(self.queries(), max_rows)

    def load(self, path: Path, positive_class: str = "") -> ImagenetScorer:
        """The scorer of an ONNX file and the manifest next to it. Raises ModelRefused."""
        del positive_class
        return ImagenetScorer.load(path, self.name, self._query)

    def manifest(self, scorer: ImagenetScorer, path: Path, sample: Path | None, /) -> Manifest:
        """The manifest of a scorer, or one derived from its file."""
        del sample
        derived = Manifest(self.name, scorer.version, path.name, scorer.sha256)
        return replace(scorer.manifest or derived, name=self.name)

    def with_reference(self, manifest: Manifest, scorer: ImagenetScorer, rows: Path, /) -> Manifest:
        """The same with the drift reference of a table of photos. Raises ModelRefused.

        Scores are in it if all pictures are asked the same.
        """
        asked = [picture for picture in self.read_requests(rows) if picture]
        scores = [score.positive for score in scorer.predict(asked)] if self._query else None
        crops = [picture.image for picture in asked]
        return replace(manifest, reference=reference(crops, scores=scores))

    def read_requests(self, path: Path, /) -> Iterator[Picture | None]:
        """The photos of a table, None for an invalid row. Raises ModelRefused."""
        return requests_of(path, self.decoder(1), ("query",))

    def trial_requests(self) -> Sequence[Picture]:
        """The golden picture."""
        return [Picture(Crop(golden_picture()))]

    def schemas(self, ref_template: str, /) -> dict[str, Any]:
        """JSON Schemas of pictures and scores."""
        kinds = (PictureFile, Answer)
        schemas = msgspec.json.schema_components(kinds, ref_template=ref_template)[1]
        schemas[PictureFile.__name__]["properties"]["query"]["enum"] = ["", *self.queries()]
        return schemas

    def score_cells(self, artifact: str, cells: "Cells", positive_class: str = "") -> "Scored":
        """The scores of the rows of a table, whose column `image` has the files in base64.

        A cell holds one value: labels are written as tabby:0.38, with semicolons between.
        """
        scored = super().score_cells(artifact, cells, positive_class)
        top = [
            "; ".join(f"{one.label}:{one.probability:g}" for one in cell or ())
            for cell in scored.columns["top"]
        ]
        return scored._replace(columns={**scored.columns, "top": top})


MODEL = ImagenetModel("imagenet")
