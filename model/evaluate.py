"""Measure a model on labelled rows: `python -m model.evaluate --help`."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from model.cli import exit_status, require
from model.regno.evaluation.options import parsed

# Packages of the extra `train`: what only serves goes without.
_NEEDED: Final = {"sklearn": "scikit-learn", "scipy": "SciPy", "matplotlib": "matplotlib"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says; print a summary. Returns the exit status."""
    options = parsed(arguments)
    if lacking := exit_status(options.prog, partial(require, _NEEDED)):
        return lacking
    from model.regno.evaluation.command import run  # noqa: PLC0415 - imports these packages

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
