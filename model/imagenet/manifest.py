"""What the manifest of an ImageNet network states, and the picture that it is recognised by."""

import numpy as np
from msgspec import Struct

from model.drift.counter import Variable
from model.imagenet.crop import SIDE, Pixels


class Manifest(Struct):
    """What is known about a model.

    `golden` has the best classes of the golden picture and their probabilities, `libraries` the
    packages that the file was made with, `agreement` how it differs from the full weights,
    `reference` how photos are distributed, for drift.
    """

    name: str
    version: str
    file: str
    sha256: str
    golden: dict[int, float] = {}
    libraries: dict[str, str] = {}
    agreement: dict[str, float] = {}
    reference: list[Variable] = []


def golden_picture() -> Pixels:
    """A picture whose scores tell one network from another: waves of three colours."""
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    waves = [np.sin(across / 9), np.sin(down / 17), np.sin((across + down) / 31)]
    return np.stack([127.5 + 127.5 * wave for wave in waves], axis=-1).astype(np.uint8)
