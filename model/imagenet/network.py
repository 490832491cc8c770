"""A version's file: a network in ONNX, evaluated by onnxruntime in the caller's thread.

It takes pixels (n, 224, 224, 3) of uint8 and gives probabilities (n, 1000): scaling of the pixels
and the softmax are parts of it.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.errors import ModelRefused
from model.imagenet.crop import SIDE, Pixels
from model.imagenet.score import CLASSES
from model.pictures.extra import from_extra

# Pictures of one call: more are hardly quicker, and each takes some MiB.
BATCH: Final = 8
_INPUT: Final = ("tensor(uint8)", [SIDE, SIDE, 3])
_OUTPUT: Final = ("tensor(float)", [CLASSES])
# onnxruntime's level of log messages that are errors.
_ERRORS: Final = 3


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


def session(blob: bytes) -> Any:
    """onnxruntime's session of a model file, with one thread. Raises ModelRefused; ExtraMissing."""
    onnxruntime = from_extra("onnxruntime", "onnxruntime")
    options = onnxruntime.SessionOptions()
    # Processes are the unit of parallel work here, and threads would not survive a fork.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    try:
        return onnxruntime.InferenceSession(blob, options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an exception class for each kind of fault
        raise ModelRefused("it is no ONNX model that onnxruntime can load") from error
