"""Train a regno model: `python -m model.train --help`."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from model.cli import exit_status, require
from model.regno.training.options import parsed

# Packages of the extra `train`: what only serves goes without.
_NEEDED: Final = {"sklearn": "scikit-learn", "matplotlib": "matplotlib"}
_NEEDED_TO_TUNE: Final = {**_NEEDED, "optuna": "optuna"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; print a summary. Returns the exit status."""
    options = parsed(arguments)
    needed = _NEEDED_TO_TUNE if options.tune else _NEEDED
    if lacking := exit_status(options.prog, partial(require, needed)):
        return lacking
    from model.regno.training.command import run  # noqa: PLC0415 - imports these packages

    return run(options, os.environ.get("MLFLOW_TRACKING_URI", ""))  # noqa: TID251 - as MLflow has it


if __name__ == "__main__":
    sys.exit(main())
