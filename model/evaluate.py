"""Measure a model on labelled rows: `python -m model.evaluate --help`."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from model.regno.evaluation.options import parsed

# Packages of the extra `train`: what only serves goes without.
_NEEDED: Final = {"sklearn": "scikit-learn", "scipy": "SciPy", "matplotlib": "matplotlib"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says; print a summary. Returns the exit status."""
    options = parsed(arguments)
    if missing := [package for name, package in _NEEDED.items() if find_spec(name) is None]:
        packages = " and ".join(missing)
        sys.stderr.write(
            f"{options.prog}: {packages} not installed: run make setup, or install the extra "
            "`train`\n"
        )
        return 69
    from model.regno.evaluation.command import run  # noqa: PLC0415 - imports these packages

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
