"""Train a regno model: `python -m model.train --help`."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from model.regno.training.options import parsed

# Packages of the extra `train`: what only serves goes without.
_NEEDED: Final = {"sklearn": "scikit-learn", "matplotlib": "matplotlib"}
_NEEDED_TO_TUNE: Final = {**_NEEDED, "optuna": "optuna"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; print a summary. Returns the exit status."""
    options = parsed(arguments)
    needed = _NEEDED_TO_TUNE if options.tune else _NEEDED
    if missing := [package for name, package in needed.items() if find_spec(name) is None]:
        packages = " and ".join(missing)
        sys.stderr.write(
            f"python -m model.train: {packages} not installed: "
            "run make setup, or pip install 'plate-scoring[train]'\n"
        )
        return 69
    from model.regno.training.command import run  # noqa: PLC0415 - imports these packages

    return run(options, os.environ.get("MLFLOW_TRACKING_URI", ""))  # noqa: TID251 - as MLflow has it


if __name__ == "__main__":
    sys.exit(main())
