"""A version written into a folder: the model, its manifest and its training report."""

import shutil
import time
from pathlib import Path

from model.registry.errors import RegistryError
from model.registry.registry import Registry
from model.registry.store import MANIFEST


class NotWritten(RegistryError):
    """A folder that can't be written, or that holds something already."""


def export(registry: Registry, version: str, folder: Path) -> list[str]:
    """Write a version into a new or empty folder, whole or not at all; the names of its files.

    The report lies next to the model, as a training leaves it: `add` takes both again. Raises
    Refused, Damaged, NotWritten.
    """
    artifact, report = registry.fetch(version), registry.report(version)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise NotWritten(f"{folder} is there already; name a new or empty folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = folder.with_name(f".{folder.name}.{time.time_ns()}.part")
        part.mkdir()
        try:
            for name in (artifact.name, MANIFEST):
                shutil.copyfile(artifact.with_name(name), part / name)
            for name, content in report.items():
                (part / name).write_bytes(content)
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise NotWritten(f"{error.filename or folder}: {error.strerror or error}") from error
    return sorted(path.name for path in folder.iterdir())
