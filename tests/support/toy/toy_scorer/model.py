"""A toy model: a share that grows with a size. A version's file holds its slope."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from model import ModelRefused
from model.cache import ExplanationCache
from model.scorer import Explainer, Model, Scorer


class Size(Struct):
    """A request."""

    size: float


class Share(Struct):
    """A score."""

    positive: float


class Reason(Struct):
    """An explanation."""

    positive: float
    text: str


class Slope(Struct):
    """The contents of a version's file."""

    slope: float


class Manifest(Struct):
    """What is known of a version."""

    name: str
    version: str
    file: str
    sha256: str


class NoProcess(Explainer):
    """Explains without a process."""

    def close(self) -> None:
        """Nothing is to be ended."""


class ToyScorer(Scorer):
    """One version."""

    name = "toy"
    unexplained = ""

    def __init__(self, slope: float, digest: str, manifest: Manifest | None) -> None:
        self.slope = slope
        self.sha256 = digest
        self.manifest = manifest
        self.version = manifest.version if manifest else digest[:12]

    def predict(self, rows: Sequence[Size], /) -> list[Share]:
        """The share of each size."""
        return [Share(min(1.0, self.slope * row.size)) for row in rows]

    def explainer(self, cache: ExplanationCache | None = None, /) -> Explainer:
        """None is needed: there is no process."""
        del cache
        return NoProcess()

    def explained(
        self, rows: Sequence[Size], explainer: Explainer, seconds: float, /
    ) -> list[Reason]:
        """The slope of each share."""
        del explainer, seconds
        text = f"{self.slope} for each unit of size"
        return [Reason(share.positive, text) for share in self.predict(rows)]

    def warm(self) -> None:
        """Refuse a slope that gives no shares."""
        if self.slope < 0:
            raise ModelRefused("its slope is below 0")


class ToyModel(Model):
    """All versions."""

    name = "toy"
    request = Size
    score = Share
    explanation = Reason

    def load(self, path: Path, positive_class: str = "") -> ToyScorer:
        """The version of a file, named by the manifest next to it."""
        del positive_class
        blob = path.read_bytes()
        try:
            slope = msgspec.json.decode(blob, type=Slope).slope
        except msgspec.DecodeError as reason:
            raise ModelRefused(f"{path} is refused: {reason}") from reason
        sidecar = path.with_name("manifest.json")
        manifest = (
            msgspec.json.decode(sidecar.read_bytes(), type=Manifest) if sidecar.exists() else None
        )
        return ToyScorer(slope, sha256(blob).hexdigest(), manifest)

    def manifest(self, scorer: ToyScorer, path: Path, sample: Path | None, /) -> Manifest:
        """The scorer's own, or one made of its file."""
        del sample
        return scorer.manifest or Manifest("toy", scorer.version, path.name, scorer.sha256)

    def trial_requests(self) -> list[Size]:
        """Some sizes."""
        return [Size(1.0), Size(2.0)]


MODEL = ToyModel()
