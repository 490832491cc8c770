"""The manifest: what is known about a model file, in `manifest.json` next to it."""

from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from model import files
from model.errors import ModelRefused
from model.imagenet.crop import SIDE, Pixels
from model.utf8 import file_text

FILE_NAME: Final = "manifest.json"
_LARGEST: Final = 1 << 20


class Manifest(Struct):
    """What is known about a model.

    `golden` has the best classes of the golden picture and their probabilities, `libraries` the
    packages that the file was made with, `agreement` how it differs from the full weights.
    """

    name: str
    version: str
    file: str
    sha256: str
    golden: dict[int, float] = {}
    libraries: dict[str, str] = {}
    agreement: dict[str, float] = {}


def golden_picture() -> Pixels:
    """A picture whose scores tell one network from another: waves of three colours."""
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    waves = [np.sin(across / 9), np.sin(down / 17), np.sin((across + down) / 31)]
    return np.stack([127.5 + 127.5 * wave for wave in waves], axis=-1).astype(np.uint8)


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
