"""A version's file: a network in ONNX, evaluated by onnxruntime in the caller's thread.

It takes pixels (n, 224, 224, 3) of uint8 and gives probabilities (n, 1000): scaling of the pixels
and the softmax are parts of it.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.errors import ModelRefused
from model.imagenet.crop import SIDE, Pixels
from model.imagenet.score import CLASSES
from model.pictures.onnx_session import session

# Pictures of one call: more are hardly quicker, and each takes some MiB.
BATCH: Final = 8
_INPUT: Final = ("tensor(uint8)", [SIDE, SIDE, 3])
_OUTPUT: Final = ("tensor(float)", [CLASSES])


class Network:
    """A network that was loaded."""

    def __init__(self, blob: bytes) -> None:
        """Raises ModelRefused for bytes that are no such network; ExtraMissing."""
        self._session = session(blob)
        taken = [(each.type, each.shape[1:]) for each in self._session.get_inputs()]
        given = [(each.type, each.shape[1:]) for each in self._session.get_outputs()]
        if taken != [_INPUT] or given != [_OUTPUT]:
            raise ModelRefused(f"it takes {taken} and gives {given}, not {_INPUT} and {_OUTPUT}")
        self._name = self._session.get_inputs()[0].name

    def probabilities(self, crops: Sequence[Pixels]) -> NDArray[np.float64]:
        """The probabilities (n, 1000) of the classes, of pixels (224, 224, 3) each."""
        found = np.empty((len(crops), CLASSES))
        for at in range(0, len(crops), BATCH):
            pixels = np.stack(crops[at : at + BATCH])
            (found[at : at + BATCH],) = self._session.run(None, {self._name: pixels})
        return found
