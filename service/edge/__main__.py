"""`python -m service.edge [--output FILE]`: print or write nginx's configuration."""

import argparse
import os
import sys
from pathlib import Path

from service.config import files as atomic
from service.edge.config import config
from service.edge.settings import VARIABLES, SettingsError, load, unknown_variables


def main() -> int:
    """Exit code 0, or 78 for a setting that is missing or can't be used."""
    output = _parser().parse_args().output
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_CONFIG
    for name in unknown_variables():
        sys.stderr.write(f"{name}: no such setting; it is ignored\n")
    text = config(settings)
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        atomic.write(output, text, 0o644)  # it holds no secret
    except OSError as error:
        sys.stderr.write(f"{output}: can't be written: {error.strerror}\n")
        return os.EX_CANTCREAT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=getattr(sys.modules["__main__"], "PROGRAM", "python -m service.edge"),
        description="Make nginx's config. Settings are variables or lines of .env:",
        epilog=VARIABLES.help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, help="file to write instead of standard output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
