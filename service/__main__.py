"""`python -m service`: serve with the settings of the environment."""

import argparse
import os
import sys
from pathlib import Path

from service.config.options import VARIABLES

_STDERR = 2


def serve(prog: str, description: str, configuration: Path) -> None:
    """Replace this process by gunicorn; arguments after `--` are gunicorn's own."""
    parser = argparse.ArgumentParser(
        prog=getattr(sys.modules["__main__"], "PROGRAM", prog),
        description=description,
        epilog=VARIABLES.help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("gunicorn", nargs="*", help="arguments for gunicorn, after --")
    arguments = parser.parse_args()
    _open_standard_streams()
    command = [sys.executable, "-m", "gunicorn", "-c", str(configuration), *arguments.gunicorn]
    os.execv(sys.executable, command)  # noqa: S606 - signals must reach gunicorn itself


def _open_standard_streams() -> None:
    """Open those that are closed: otherwise the next file would get their number.

    The log would then be written into a socket or a metrics file.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(number, True)  # noqa: FBT003 - its signature
    os.close(number)


if __name__ == "__main__":
    serve(
        prog="python -m service",
        description="Serve POST /reg/. Settings are environment variables or lines of .env:",
        configuration=Path(__file__).with_name("gunicorn.conf.py"),
    )
