"""`python -m service`: serve, with the settings that the environment gives."""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from service.settings import Settings, variable

_CONFIG = Path(__file__).with_name("gunicorn.conf.py")


def main() -> None:
    """Become gunicorn; arguments after `--` are gunicorn's own."""
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve POST /reg/. Settings are environment variables or lines of .env:",
        epilog=_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("gunicorn", nargs="*", help="arguments for gunicorn, after --")
    arguments = parser.parse_args()
    sys.stdout.flush()
    command = [sys.executable, "-m", "gunicorn", "-c", str(_CONFIG), *arguments.gunicorn]
    os.execv(sys.executable, command)  # noqa: S606 - signals must reach gunicorn itself


def _settings_help() -> str:
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    return "\n".join(
        f"  {variable(name):26} {field['description']} [{field.get('default', '')}]"
        for name, field in schema.items()
    )


if __name__ == "__main__":
    main()
