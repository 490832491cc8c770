"""`python -m service`: serve, with the settings that the environment gives."""

import argparse
import os
import sys
from pathlib import Path

from service.options import VARIABLES

_CONFIG = Path(__file__).with_name("gunicorn.conf.py")


def main() -> None:
    """Become gunicorn; arguments after `--` are gunicorn's own."""
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve POST /reg/. Settings are environment variables or lines of .env:",
        epilog=VARIABLES.help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("gunicorn", nargs="*", help="arguments for gunicorn, after --")
    arguments = parser.parse_args()
    sys.stdout.flush()
    command = [sys.executable, "-m", "gunicorn", "-c", str(_CONFIG), *arguments.gunicorn]
    os.execv(sys.executable, command)  # noqa: S606 - signals must reach gunicorn itself


if __name__ == "__main__":
    main()
