"""The digits scorer: pictures in, digits out."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np

from model import files, manifests
from model.digits import golden
from model.digits.ink import Array, Ink
from model.digits.manifest import Manifest
from model.digits.onnx_file import CLASSES, Network
from model.digits.reference import FEATURES, InkDrift
from model.digits.request import Picture
from model.digits.score import Digit, digit_of
from model.drift.counter import Variable
from model.errors import ModelRefused
from model.scorer import Scorer

# Probabilities of single precision differ between kinds of processors.
_SAME: Final = 1e-4


class DigitsScorer(Scorer):
    """One loaded version. Immutable: to serve another, load another scorer."""

    name = "digits"

    def __init__(self, network: Network, digest: str, described: Manifest | None = None) -> None:
        """A scorer of a network, the SHA-256 of its file and, if it has any, its manifest."""
        self._network = network
        self.sha256 = digest
        self.manifest = described
        self.version = described.version if described else f"sha256-{digest[:12]}"

    @classmethod
    def load(cls, path: Path) -> "DigitsScorer":
        """The scorer of an ONNX file and the manifest next to it. Raises ModelRefused."""
        try:
            blob = files.read(path)
        except OSError as error:
            raise ModelRefused(f"{path} is refused: it can't be read: {error.strerror}") from error
        digest = sha256(blob).hexdigest()
        try:
            described = manifests.load_for(path, digest, Manifest)
            return cls(Network(blob), digest, described)
        except ModelRefused as reason:
            raise ModelRefused(f"{path} is refused: {reason}") from reason

    @property
    def classes(self) -> Sequence[str]:
        """The ten digits."""
        return [str(digit) for digit in range(CLASSES)]

    @property
    def held_out_accuracy(self) -> float | None:
        """The accuracy on held-out digits that the manifest has, None if it has none."""
        return self.manifest.metrics.get("accuracy") if self.manifest else None

    def row(self, request: Picture, /) -> Ink:
        """The ink of a picture."""
        return request.image

    def probabilities(self, rows: Sequence[Ink], /) -> Array:
        """The probabilities (n, 10) of the digits, of each ink."""
        if not rows:
            return np.empty((0, CLASSES))
        return self._network.probabilities(np.stack([ink.pixels for ink in rows]))

    def predict(self, rows: Sequence[Ink], /) -> list[Digit]:
        """One score for each ink."""
        return [digit_of(row) for row in self.probabilities(rows)]

    def drift_counter(self, reference: Sequence[Variable] | None = None, /) -> InkDrift:
        """A new counter by a reference, without one by the manifest's, which may be empty."""
        if reference is None:
            reference = self.manifest.reference if self.manifest else []
        return InkDrift(FEATURES, reference)

    def memory_of(self, request: Picture, /) -> int:
        """About how many bytes a picture takes: those of its ink."""
        return int(request.image.pixels.nbytes)

    def warm(self) -> None:
        """Score the golden pictures. Raises ModelRefused unless each is the digit that it shows."""
        pictures = golden.pictures()
        rows = [self.row(picture) for picture in pictures]
        found = self.probabilities(rows)
        if not np.allclose(found.sum(1), 1, atol=_SAME):  # NaN is not, either
            raise ModelRefused("its scores are not probabilities")
        if self.manifest and self.manifest.golden:
            expected = np.asarray(self.manifest.golden)
            if expected.shape != found.shape or not np.allclose(found, expected, atol=_SAME):
                raise ModelRefused("it scores the golden pictures otherwise than its manifest says")
        self.drift_counter().add_rows(rows, found.max(1).tolist())
