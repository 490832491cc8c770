"""What the manifest of a model of digits states."""

from typing import Any

from msgspec import Struct

from model.drift.counter import Variable


class Manifest(Struct):
    """What is known about a model.

    `golden` holds the ten probabilities of each golden picture; `reference` how the held-out
    pictures are distributed, for drift. For a model that came without a manifest, training and
    metrics are empty.
    """

    name: str
    version: str
    file: str
    sha256: str
    golden: list[list[float]]
    training: dict[str, Any] = {}
    libraries: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    reference: list[Variable] = []
