"""Data sets of digits that are drawn, as files like Keras' MNIST."""

from pathlib import Path
from typing import Any

import numpy as np

from model.digits.drawing import Pen, drawn


def drawn_digits(count: int, seed: int) -> tuple[Any, Any]:
    """Drawn digits of 28 × 28, white on black, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    images = [
        drawn(digit, Pen(random.uniform(1, 2), 0, random.uniform(-0.2, 0.2)), (28, 28))
        for digit in labels.tolist()
    ]
    return np.stack(images), labels


def write_digits(path: Path, **changed: Any) -> Path:
    """A data set of 200 digits to learn and 40 held out; each array may be given."""
    (x_train, y_train), (x_test, y_test) = drawn_digits(200, 1), drawn_digits(40, 2)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez(path, **{**arrays, **changed})
    return path
