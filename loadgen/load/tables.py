"""Files of numbers: TOML, read into the types that say what may be in it."""

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from loadgen.load.errors import BadFile

Content = TypeVar("Content")


def read_toml(path: Path, kind: type[Content]) -> Content:
    """The file as a `kind`. Raises BadFile, which names the file and the place in it."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadFile(f"{path}: {error}") from error
