"""A new version: trained, measured as it will be served, written with its manifest and card.

All files are written to a temporary folder and moved into place at the end. If the move itself is
cut off, a model and a manifest of different runs are refused at load.
"""

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np

from model import manifests
from model.digits import golden
from model.digits.ink import Array, Ink, ink_of
from model.digits.manifest import Manifest
from model.digits.reference import OF_INK, reference
from model.digits.scorer import DigitsScorer
from model.digits.training import card, dataset, network, onnx_writer, variants
from model.digits.training.dataset import Data, Digits
from model.digits.training.network import Recipe
from model.errors import DataRefused, InvalidRequest

# How far a run is: steps that are done, and all of them. It may raise to end the run.
Progress = Callable[[int, int], None]

MODEL: Final = "model.onnx"
# MNIST's images fill 20 of 28 pixels: their own border is too thin to be the background's.
_MARGIN: Final = 4
# Images that are drawn again by other pens: of more, a sample.
_REDRAWN: Final = 20_000
# Drawing so many images again takes as long as a step of the network.
_DRAWN_IN_A_STEP: Final = 64


class Steps(NamedTuple):
    """The steps of a run: those of drawing images again, and those of each epoch after them."""

    drawing: int
    epoch: int
    epochs: int

    @classmethod
    def of(cls, data: Data, recipe: Recipe) -> "Steps":
        """Those of a run with this data."""
        redrawn = min(data.train.size, _REDRAWN)
        drawing = redrawn // _DRAWN_IN_A_STEP
        return cls(drawing, network.batches(data.train.size + redrawn), recipe.epochs)

    @property
    def total(self) -> int:
        """All of them."""
        return self.drawing + self.epochs * self.epoch

    def ended_with(self, done: int) -> int:
        """Which epoch ends with a step, from 1; 0 if none does."""
        epochs, rest = divmod(done - self.drawing, self.epoch)
        return max(0, epochs) if not rest else 0


def make(data: Data, out: Path, recipe: Recipe, progress: Progress) -> Manifest:
    """Train, measure, and write into the folder `out`, which may hold an earlier version.

    Raises DataRefused for images without digits.
    """
    random, steps = np.random.default_rng(recipe.seed), Steps.of(data, recipe)
    inks = [_ink(image) for image in data.train.images]
    chosen = random.permutation(len(inks))[:_REDRAWN]
    redrawn = []
    for count, place in enumerate(chosen.tolist()):
        redrawn.append(variants.redrawn(data.train.images[place], random))
        if count % _DRAWN_IN_A_STEP == 0:
            progress(count // _DRAWN_IN_A_STEP, steps.total)
    images = _scaled([*(ink.pixels for ink in inks), *redrawn])
    labels = np.concatenate((data.train.labels, data.train.labels[chosen]))
    weights = network.train(
        images,
        labels,
        recipe,
        variants.moved,
        lambda done: progress(steps.drawing + done, steps.total),
    )
    return _written(onnx_writer.encoded(weights), data, recipe, out)


def _ink(image: Array) -> Ink:
    try:
        return ink_of(np.pad(image, _MARGIN))
    except InvalidRequest as fault:
        raise DataRefused(f"one of the images is not a digit: {fault.reason}") from fault


def _scaled(images: list[Array]) -> Array:
    return np.stack(images).astype(np.float32) / np.float32(255)


def _written(blob: bytes, data: Data, recipe: Recipe, out: Path) -> Manifest:
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out, prefix=".train-") as temporary:
        folder = Path(temporary)
        (folder / MODEL).write_bytes(blob)
        made = _manifest(DigitsScorer.load(folder / MODEL), data, recipe)
        manifests.write(made, folder / manifests.FILE_NAME)
        (folder / card.FILE_NAME).write_text(card.text(made, len(blob)), encoding="utf-8")
        for path in sorted(folder.iterdir()):
            os.replace(path, out / path.name)  # noqa: PTH105 - the atomic one, by name
    return made


def _manifest(scorer: DigitsScorer, data: Data, recipe: Recipe) -> Manifest:
    """The manifest of a scorer, measured as it will be served."""
    inks = [_ink(image) for image in data.held_out.images]
    found = scorer.probabilities(inks)
    redrawn = _redrawn(data.held_out, recipe.seed)
    return Manifest(
        name=DigitsScorer.name,
        version=f"digits-{scorer.sha256[:8]}",
        file=MODEL,
        sha256=scorer.sha256,
        golden=scorer.probabilities([picture.image for picture in golden.pictures()]).tolist(),
        training={**dataset.summary(data), "seed": recipe.seed, "epochs": recipe.epochs},
        libraries=_libraries(),
        metrics={
            **_measures(found, data.held_out.labels),
            "redrawn": _measures(scorer.probabilities(redrawn), data.held_out.labels),
            "by_digit": _by_digit(found, data.held_out.labels),
        },
        reference=reference(inks, found.max(1).tolist(), OF_INK),
    )


def _redrawn(digits: Digits, seed: int) -> list[Ink]:
    random = np.random.default_rng(seed)
    return [Ink(variants.redrawn(image, random), 0.0, 0) for image in digits.images]


def _measures(found: Array, labels: Array) -> dict[str, float]:
    """The accuracy, the log loss in nats, and the mean of the highest probabilities."""
    true = found[np.arange(len(labels)), labels]
    return {
        "accuracy": float((found.argmax(1) == labels).mean()),
        "log_loss": float(-np.log(np.maximum(true, 1e-15)).mean()),
        "mean_confidence": float(found.max(1).mean()),
    }


def _by_digit(found: Array, labels: Array) -> list[float]:
    right = found.argmax(1) == labels
    return [float(right[labels == digit].mean()) for digit in np.unique(labels)]


def _libraries() -> dict[str, Any]:
    versions = {name: version(name) for name in ("numpy", "onnx", "onnxruntime")}
    return {"python": platform.python_version(), **versions}
