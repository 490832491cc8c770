"""Manifests: what is known about a model file, in `manifest.json` next to it."""

from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from model import files
from model.errors import ModelRefused
from model.utf8 import file_text

FILE_NAME: Final = "manifest.json"
# That of regno has 34 kB; one of a hundred times as many values still fits.
_LARGEST: Final = 4 * 2**20


class Manifest(Protocol):
    """A struct of a model's own that states which file it belongs to: its name and SHA-256."""

    file: str
    sha256: str


M = TypeVar("M", bound=Manifest)


def load_for(model: Path, sha256: str, kind: type[M]) -> M | None:
    """The manifest of a model file, None when it has none.

    A manifest that names another file belongs to another model and is ignored.
    Raises ModelRefused when the manifest is unreadable or was written for other bytes.
    """
    path = model.with_name(FILE_NAME)
    try:
        manifest = msgspec.json.decode(file_text(files.read(path, _LARGEST)), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelRefused(f"its manifest {path} can't be read: {error.strerror}") from error
    except RecursionError as error:
        raise ModelRefused(f"its manifest {path} can't be read: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ModelRefused(f"its manifest {path} can't be read: {error}") from error
    if manifest.file != model.name:
        return None
    if manifest.sha256 != sha256:
        raise ModelRefused(f"its manifest {path} was written for other bytes: the SHA-256 differs")
    return manifest


def write(manifest: Manifest, path: Path) -> None:
    """Write a manifest as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
