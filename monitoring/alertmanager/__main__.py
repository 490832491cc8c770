"""`python -m monitoring.alertmanager [--output FILE]`: print or write Alertmanager's config."""

import argparse
import os
import sys
from pathlib import Path

import msgspec
import yaml

from monitoring.alertmanager.config import config
from monitoring.alertmanager.settings import (
    FORMER,
    Settings,
    SettingsError,
    load,
    unknown_variables,
    uses_former_name,
    variable,
)

_HEADER = "# Made by `python -m monitoring.alertmanager` from settings. Change those, not this.\n"


def main() -> int:
    """Exit code 0, 78 for a bad setting, or 73 for a file that can't be written."""
    output = _parser().parse_args().output
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_CONFIG
    if uses_former_name():
        sys.stderr.write(f"{FORMER}: it is now called {variable('allow_no_receiver')}\n")
    for name in unknown_variables():
        sys.stderr.write(f"{name}: no such setting; it is ignored\n")
    text = _HEADER + yaml.safe_dump(config(settings), sort_keys=False, width=100)
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        _write(output, text)
    except OSError as error:
        sys.stderr.write(f"{output}: can't be written: {error.strerror}\n")
        return os.EX_CANTCREAT
    return 0


def _write(path: Path, text: str) -> None:
    """In one step, and for its owner only: the webhook's address may hold a secret."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def _parser() -> argparse.ArgumentParser:
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.alertmanager",
        description="Make Alertmanager's config. Settings are variables or lines of .env:",
        epilog="\n".join(
            f"  {variable(name):31} {field['description']} [{field.get('default', '')}]"
            for name, field in schema.items()
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, help="file to write instead of standard output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
