"""The manifest: what is known about a model file, in `manifest.json` next to it."""

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from model import files
from model.drift.counter import Variable
from model.errors import ModelRefused
from model.utf8 import file_text

FILE_NAME: Final = "manifest.json"
_LARGEST: Final = 4 * 2**20


class Manifest(Struct):
    """What is known about a model.

    `golden` holds the ten probabilities of each golden picture; `reference` how the held-out
    pictures are distributed, for drift. For a model that came without a manifest, training and
    metrics are empty.
    """

    name: str
    version: str
    file: str
    sha256: str
    golden: list[list[float]]
    training: dict[str, Any] = {}
    libraries: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    reference: list[Variable] = []


def load_for(model: Path, sha256: str) -> Manifest | None:
    """The manifest of a model file, None when it has none or one that names another file.

    Raises ModelRefused when the manifest is unreadable or was written for other bytes.
    """
    path = model.with_name(FILE_NAME)
    try:
        manifest = msgspec.json.decode(file_text(files.read(path, _LARGEST)), type=Manifest)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelRefused(f"its manifest {path} can't be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ModelRefused(f"its manifest {path} can't be read: {error}") from error
    if manifest.file != model.name:
        return None
    if manifest.sha256 != sha256:
        raise ModelRefused(f"its manifest {path} was written for other bytes: the SHA-256 differs")
    return manifest


def write(manifest: Manifest, path: Path) -> None:
    """Write a manifest as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
