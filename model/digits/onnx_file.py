"""A version's file: a network in ONNX, evaluated by onnxruntime in the caller's thread."""

from typing import Any, Final

import numpy as np

from model.digits.ink import SIDE, Array
from model.errors import ModelRefused
from model.pictures.extra import from_extra

CLASSES: Final = 10
# onnxruntime's level of log messages that are errors.
_ERRORS: Final = 3


class Network:
    """A network that was loaded: pixels in, probabilities out."""

    def __init__(self, blob: bytes) -> None:
        """Raises ModelRefused for bytes that are no network; ExtraMissing without onnxruntime."""
        self._session = _session(blob)
        (self._input,) = (given.name for given in self._session.get_inputs())

    def probabilities(self, pixels: Array) -> Array:
        """The probabilities (n, 10) of pixels (n, 28, 28) of uint8, as float64."""
        scaled = pixels.reshape(-1, 1, SIDE, SIDE).astype(np.float32) / np.float32(255)
        (found,) = self._session.run(None, {self._input: scaled})
        return np.asarray(found, dtype=np.float64)


def _session(blob: bytes) -> Any:
    onnxruntime = from_extra("onnxruntime", "onnxruntime")
    options = onnxruntime.SessionOptions()
    # Processes are the unit of parallel work here, and threads would not survive a fork.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    try:
        session = onnxruntime.InferenceSession(blob, options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an exception class for each kind of fault
        raise ModelRefused("it is no ONNX model that onnxruntime can load") from error
    shapes = [given.shape[1:] for given in session.get_inputs()]
    found = [given.shape[1:] for given in session.get_outputs()]
    if shapes != [[1, SIDE, SIDE]] or found != [[CLASSES]]:
        raise ModelRefused(
            f"it takes {shapes} and gives {found}, not pictures of [1, {SIDE}, {SIDE}] and "
            f"[{CLASSES}] probabilities"
        )
    return session
