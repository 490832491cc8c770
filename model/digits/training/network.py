"""The network and its training: two convolutions and two dense layers, in numpy.

LeNet-5 of LeCun, Bottou, Bengio and Haffner (1998) with rectified units, maxima in place of means,
dropout, and Adam: Kingma and Ba, Adam: a method for stochastic optimization (2015).
"""

from collections.abc import Callable, Mapping
from math import cos, pi
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
Weights: TypeAlias = dict[str, Array]

_KERNEL: Final = 5
_CHANNELS: Final = (12, 24)
_HIDDEN: Final = 96
_CLASSES: Final = 10
# What is left of 28 × 28 after two convolutions and two poolings.
_LEFT: Final = 4
_DROPPED: Final = 0.3
_BATCH: Final = 64
_RATE: Final = 2e-3
_DECAY: Final = 1e-4
_MOMENTS: Final = (0.9, 0.999)
_SMALL: Final = 1e-8


class Recipe(NamedTuple):
    """How often all images are learned, and the seed of all random numbers."""

    epochs: int
    seed: int


def initial(random: np.random.Generator) -> Weights:
    """Random weights: He, Zhang, Ren and Sun, Delving deep into rectifiers (2015).

    Kernels are (out, in, height, width), dense weights (in, out).
    """
    first, second = _CHANNELS
    shapes = {
        "conv1": (first, 1, _KERNEL, _KERNEL),
        "conv2": (second, first, _KERNEL, _KERNEL),
        "dense1": (second * _LEFT * _LEFT, _HIDDEN),
        "dense2": (_HIDDEN, _CLASSES),
    }
    weights: Weights = {}
    for name, shape in shapes.items():
        inputs, outputs = (
            (int(np.prod(shape[1:])), shape[0]) if len(shape) == 4 else (shape[0], shape[1])
        )
        drawn = random.normal(0, np.sqrt(2 / inputs), shape)
        weights[f"{name}.weight"] = drawn.astype(np.float32)
        weights[f"{name}.bias"] = np.zeros(outputs, np.float32)
    return weights


def probabilities(weights: Mapping[str, Array], images: Array) -> Array:
    """The probabilities (n, 10) of images (n, 28, 28) from 0 to 1."""
    return np.concatenate(
        [_forward(weights, images[at : at + 500])[0] for at in range(0, len(images), 500)]
    )


def batches(images: int) -> int:
    """How many batches so many images make in an epoch."""
    return -(-images // _BATCH)


def train(
    images: Array,
    labels: Array,
    recipe: Recipe,
    varied: Callable[[Array, np.random.Generator], Array],
    progress: Callable[[int], None],
) -> Weights:
    """The weights that images (n, 28, 28) of 0 to 1 and their labels give.

    `varied` is called with each batch and returns it as it is learned; `progress` with how many
    batches are done, and may raise.
    """
    random = np.random.default_rng(recipe.seed)
    weights = initial(random)
    optimiser = _Adam(weights)
    total, done = batches(len(images)) * recipe.epochs, 0
    for _ in range(recipe.epochs):
        order = random.permutation(len(images))
        for batch in range(batches(len(images))):
            chosen = order[batch * _BATCH : (batch + 1) * _BATCH]
            gradients = _gradients(weights, varied(images[chosen], random), labels[chosen], random)
            optimiser.step(gradients, _RATE * (1 + cos(pi * done / total)) / 2)
            done += 1
            progress(done)
    return weights


class _Adam:
    """Changes weights in place."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._means = {name: np.zeros_like(value) for name, value in weights.items()}
        self._squares = {name: np.zeros_like(value) for name, value in weights.items()}
        self._steps = 0

    def step(self, gradients: Weights, rate: float) -> None:
        """One step; kernels and dense weights also decay."""
        self._steps += 1
        first, second = _MOMENTS
        scale = rate * np.sqrt(1 - second**self._steps) / (1 - first**self._steps)
        for name, weight in self._weights.items():
            decay = rate * _DECAY if weight.ndim > 1 else 0.0
            mean, square, gradient = self._means[name], self._squares[name], gradients[name]
            mean += (1 - first) * (gradient - mean)
            square += (1 - second) * (gradient * gradient - square)
            step = scale * mean / (np.sqrt(square) + _SMALL)
            np.subtract(weight, step + decay * weight, out=weight)


class _Pass(NamedTuple):
    """What the way back needs of the way there."""

    columns: tuple[Array, Array]
    chosen: tuple[Array, Array]
    flat: Array
    hidden: Array
    kept: Array


def _forward(
    weights: Mapping[str, Array], images: Array, random: np.random.Generator | None = None
) -> tuple[Array, _Pass]:
    """The probabilities, and what the gradients are made of; `random` drops hidden units."""
    columns1, convolved = _convolved(images[..., None], weights, "conv1")
    pooled, chosen1 = _pooled(convolved)
    columns2, convolved = _convolved(pooled, weights, "conv2")
    pooled, chosen2 = _pooled(convolved)
    # As ONNX flattens: channels first.
    flat = pooled.transpose(0, 3, 1, 2).reshape(len(images), -1)
    hidden = np.maximum(flat @ weights["dense1.weight"] + weights["dense1.bias"], 0)
    kept = np.ones_like(hidden)
    if random is not None:
        kept = (random.random(hidden.shape, np.float32) >= _DROPPED) / np.float32(1 - _DROPPED)
    logits = (hidden * kept) @ weights["dense2.weight"] + weights["dense2.bias"]
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    passed = _Pass((columns1, columns2), (chosen1, chosen2), flat, hidden, kept)
    return exponents / exponents.sum(1, keepdims=True), passed


def _gradients(
    weights: Weights, images: Array, labels: Array, random: np.random.Generator
) -> Weights:
    """The gradients of the mean cross-entropy."""
    probable, passed = _forward(weights, images, random)
    count = len(images)
    errors = (probable - np.eye(_CLASSES, dtype=np.float32)[labels]) / np.float32(count)
    gradients = {
        "dense2.weight": (passed.hidden * passed.kept).T @ errors,
        "dense2.bias": errors.sum(0),
    }
    errors = (errors @ weights["dense2.weight"].T) * passed.kept * (passed.hidden > 0)
    gradients["dense1.weight"] = passed.flat.T @ errors
    gradients["dense1.bias"] = errors.sum(0)
    errors = (errors @ weights["dense1.weight"].T).reshape(count, -1, _LEFT, _LEFT)
    errors = _unpooled(errors.transpose(0, 2, 3, 1), passed.chosen[1])
    gradients |= _of_kernel("conv2", passed.columns[1], errors)
    errors = _unpooled(_convolved_back(errors, weights["conv2.weight"]), passed.chosen[0])
    return gradients | _of_kernel("conv1", passed.columns[0], errors)


def _convolved(inputs: Array, weights: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    """The patches (n, h, w, values) of inputs (n, h, w, channels), and their convolution."""
    kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    patches = np.lib.stride_tricks.sliding_window_view(inputs, (_KERNEL, _KERNEL), (1, 2))
    columns = patches.reshape(*patches.shape[:3], -1)
    return columns, columns @ kernel.reshape(len(kernel), -1).T + bias


def _pooled(convolved: Array) -> tuple[Array, Array]:
    """The maxima of squares of 2 × 2, not below 0, and which values they are."""
    count, height, width, channels = convolved.shape
    squares = convolved.reshape(count, height // 2, 2, width // 2, 2, channels)
    maxima = np.maximum(squares.max((2, 4), keepdims=True), 0)
    return maxima[:, :, 0, :, 0], (squares == maxima) & (squares > 0)


def _unpooled(errors: Array, chosen: Array) -> Array:
    count, rows, _, columns, _, channels = chosen.shape
    spread = errors[:, :, None, :, None] * chosen
    return spread.reshape(count, 2 * rows, 2 * columns, channels)


def _of_kernel(name: str, columns: Array, errors: Array) -> Weights:
    channels = errors.shape[-1]
    flat = errors.reshape(-1, channels)
    kernel = flat.T @ columns.reshape(len(flat), -1)
    shape = (channels, -1, _KERNEL, _KERNEL)
    return {f"{name}.weight": kernel.reshape(shape), f"{name}.bias": flat.sum(0)}


def _convolved_back(errors: Array, kernel: Array) -> Array:
    """The errors of a convolution's inputs."""
    count, height, width, _ = errors.shape
    back = np.zeros((count, height + _KERNEL - 1, width + _KERNEL - 1, kernel.shape[1]), np.float32)
    for row in range(_KERNEL):
        for column in range(_KERNEL):
            part = errors @ kernel[:, :, row, column]
            back[:, row : row + height, column : column + width] += part
    return back
