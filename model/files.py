"""Files that somebody names: what is no file, or too large for one of its kind, is not read."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

# Models of this kind have a few MB. A file is held in memory once it is hashed and parsed.
LARGEST: Final = 256 * 2**20


def opened(path: Path) -> BinaryIO:
    """A regular file, to read from; close it. Raises OSError: to read a pipe may never end."""
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - closed by whoever asked for it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file


def read(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a regular file, of which there may be so many. Raises OSError."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        # Not `most` at once, which would be allocated, however small the file is.
        content = file.read(size + 1) if size <= most else b""
    if size > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes", str(path))
    if len(content) > size:
        raise OSError(errno.EBUSY, "it is being written", str(path))
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Without O_NONBLOCK, to open a pipe waits until somebody writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)
