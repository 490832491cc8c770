"""Networks in ONNX, evaluated by onnxruntime in the caller's thread."""

import os
from typing import Any, Final

from model.errors import ModelRefused
from model.pictures.extra import from_extra

# onnxruntime's level of log messages that are errors.
_ERRORS: Final = 3


def session(network: bytes) -> Any:
    """onnxruntime's session of a file's bytes. Raises ModelRefused; ExtraMissing without it."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    # Processes are the unit of parallel work here, and threads would not survive a fork.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    try:
        return onnxruntime.InferenceSession(network, options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an exception class for each kind of fault
        raise ModelRefused("it is not an ONNX model that onnxruntime can load") from error


def _onnxruntime() -> Any:
    # Its wheels report to their makers, and keep an id of the machine in a file, from the moment of
    # their import: but not if this variable is set.
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
    return from_extra("onnxruntime", "onnxruntime")
