"""The network as an ONNX file, by the package `onnx`."""

from collections.abc import Mapping
from typing import Final

import onnx
from onnx import TensorProto, helper, numpy_helper

from model.digits.ink import SIDE, Array
from model.digits.onnx_file import CLASSES

# Those of 2021 and 2022: every onnxruntime in use reads them.
_OPSET: Final = 17
_IR_VERSION: Final = 8


def encoded(weights: Mapping[str, Array]) -> bytes:
    """The file of a network: `image` (n, 1, 28, 28) in, `probabilities` (n, 10) out."""
    steps = (
        ("Conv", "image", "conv1"),
        ("Relu", "conv1", "relu1"),
        ("MaxPool", "relu1", "pool1"),
        ("Conv", "pool1", "conv2"),
        ("Relu", "conv2", "relu2"),
        ("MaxPool", "relu2", "pool2"),
        ("Flatten", "pool2", "flat"),
        ("Gemm", "flat", "dense1"),
        ("Relu", "dense1", "relu3"),
        ("Gemm", "relu3", "dense2"),
        ("Softmax", "dense2", "probabilities"),
    )
    graph = helper.make_graph(
        [_node(*step) for step in steps],
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _node(kind: str, given: str, made: str) -> onnx.NodeProto:
    """A step; those with weights are called as their weights are."""
    weights = [f"{made}.weight", f"{made}.bias"] if kind in ("Conv", "Gemm") else []
    squares = {"kernel_shape": [2, 2], "strides": [2, 2]} if kind == "MaxPool" else {}
    return helper.make_node(kind, [given, *weights], [made], **squares)
