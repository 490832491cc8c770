"""A version's file: a network in ONNX, evaluated by onnxruntime in the caller's thread."""

from typing import Any, Final

import numpy as np

from model.digits.ink import SIDE, Array
from model.errors import ModelRefused
from model.pictures.onnx_session import session

CLASSES: Final = 10


class Network:
    """A network that was loaded: pixels in, probabilities out."""

    def __init__(self, blob: bytes) -> None:
        """Raises ModelRefused if they are not a network; ExtraMissing without onnxruntime."""
        self._session = _checked(session(blob))
        (self._input,) = (given.name for given in self._session.get_inputs())

    def probabilities(self, pixels: Array) -> Array:
        """The probabilities (n, 10) of pixels (n, 28, 28) of uint8, as float64."""
        scaled = pixels.reshape(-1, 1, SIDE, SIDE).astype(np.float32) / np.float32(255)
        (found,) = self._session.run(None, {self._input: scaled})
        return np.asarray(found, dtype=np.float64)


def _checked(loaded: Any) -> Any:
    shapes = [given.shape[1:] for given in loaded.get_inputs()]
    found = [given.shape[1:] for given in loaded.get_outputs()]
    if shapes != [[1, SIDE, SIDE]] or found != [[CLASSES]]:
        raise ModelRefused(
            f"it takes {shapes} and gives {found}, not pictures of [1, {SIDE}, {SIDE}] and "
            f"[{CLASSES}] probabilities"
        )
    return loaded
