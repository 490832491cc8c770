"""The imagenet scorer: pictures in, labels and answers out."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from model import files, manifests
from model.drift.counter import Variable
from model.errors import ModelRefused
from model.imagenet.manifest import Manifest, golden_picture
from model.imagenet.network import Network
from model.imagenet.queries import queries
from model.imagenet.reference import FEATURES, PhotoDrift
from model.imagenet.request import Picture
from model.imagenet.score import Answer, answer_of
from model.scorer import Scorer

# Probabilities of single precision differ between kinds of processors.
_SAME: Final = 1e-3

# By the SHA-256 of their files: models of one query in one process share their network.
_networks: Final = WeakValueDictionary[str, Network]()


class ImagenetScorer(Scorer):
    """One loaded version. Immutable: to serve another, load another scorer."""

    def __init__(
        self,
        network: Network,
        digest: str,
        described: Manifest | None,
        name: str,
        query: str,
    ) -> None:
        """A scorer of a network, the SHA-256 of its file and, if it has any, its manifest.

        `query` is what is asked of pictures that come without a query, "" for nothing.
        """
        self._network = network
        self._query = query
        self.name = name
        self.sha256 = digest
        self.manifest = described
        self.version = described.version if described else f"sha256-{digest[:12]}"

    @classmethod
    def load(cls, path: Path, name: str, query: str) -> "ImagenetScorer":
        """The scorer of an ONNX file and the manifest next to it. Raises ModelRefused."""
        try:
            blob = files.read(path)
        except OSError as error:
            raise ModelRefused(f"{path} is refused: it can't be read: {error.strerror}") from error
        digest = sha256(blob).hexdigest()
        try:
            described = manifests.load_for(path, digest, Manifest)
            return cls(_network(blob, digest), digest, described, name, query)
        except ModelRefused as reason:
            raise ModelRefused(f"{path} is refused: {reason}") from reason

    def probabilities(self, rows: Sequence[Picture], /) -> NDArray[np.float64]:
        """The probabilities (n, 1000) of the classes, of each picture."""
        return self._network.probabilities([row.image.pixels for row in rows])

    def predict(self, rows: Sequence[Picture], /) -> list[Answer]:
        """One score for each picture; the network takes several of them at once."""
        found = self.probabilities(rows)
        asked = (queries().get(row.query or self._query) for row in rows)
        return [answer_of(each, query) for each, query in zip(found, asked, strict=True)]

    def drift_counter(self, reference: Sequence[Variable] | None = None, /) -> PhotoDrift:
        """A new counter by a reference, without one by the manifest's, which may be empty."""
        if reference is None:
            reference = self.manifest.reference if self.manifest else []
        return PhotoDrift(FEATURES, reference)

    def memory_of(self, request: Picture, /) -> int:
        """About how many bytes a picture takes: those of its middle."""
        return int(request.image.pixels.nbytes)

    def golden(self) -> NDArray[np.float64]:
        """The probabilities (1000,) of the golden picture."""
        (found,) = self._network.probabilities([golden_picture()])
        return np.asarray(found)

    def warm(self) -> None:
        """Score the golden picture. Raises ModelRefused if the manifest says otherwise."""
        found = self.golden()
        if not abs(found.sum() - 1) < _SAME:  # NaN is not, either
            raise ModelRefused("its scores are not probabilities")
        for number, expected in (self.manifest.golden if self.manifest else {}).items():
            if not abs(found[number] - expected) < _SAME:
                raise ModelRefused("it scores the golden picture otherwise than its manifest says")


def _network(blob: bytes, digest: str) -> Network:
    network = _networks.get(digest)
    if network is None:
        network = _networks[digest] = Network(blob)
    return network
