"""Versions of the second model, the toy, in a registry."""

from pathlib import Path

from tests.support.paths import WITH_TOY
from tests.support.registry import command


def toy_command(folder: Path, *arguments: object) -> str:
    """The output of `python -m model.registry` for the toy, in the registry `folder/models`."""
    named = ("--models", folder / "models", "--name", "toy")
    return command(folder, *arguments, *named, settings=WITH_TOY).stdout


def add_toy(folder: Path, version: str, slope: float) -> None:
    """Add a version that multiplies sizes by a slope."""
    file = folder / f"{version}.json"
    file.write_text(f'{{"slope": {slope}}}')
    assert version in toy_command(folder, "add", file, "--version", version)
