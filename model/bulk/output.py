"""A file that appears whole or not at all."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

STREAM: Final = Path("-")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, put in place of `path` when the block ends well.

    Until then it has a hidden name in the same folder, and it is removed when the block fails.
    `-` is standard output; it and devices are written to directly. Raises OSError.
    """
    if path == STREAM:
        if sys.stdout is None:  # python could not open it
            raise OSError(errno.EBADF, "it is closed")
        # A writer of its own: what it could not write is not tried again at exit.
        with open(sys.stdout.fileno(), "wb", closefd=False) as stream:
            yield stream
    elif path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
    else:
        with _aside(path.resolve()) as file:
            yield file


@contextmanager
def _aside(path: Path) -> Iterator[BinaryIO]:
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("xb") as file:
            yield file
        with suppress(FileNotFoundError):
            aside.chmod(path.stat().st_mode & 0o7777)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
