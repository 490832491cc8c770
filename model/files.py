"""Reading files that users name: only regular files up to a size limit are read."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

# Models of this kind have a few MB. The whole file is held in memory to be hashed and parsed.
LARGEST: Final = 256 * 2**20


def opened(path: Path) -> BinaryIO:
    """A regular file, open for reading; the caller closes it. Raises OSError.

    Anything else is refused: reading a pipe may never end.
    """
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - closed by the caller
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return file


def read(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a regular file of at most `most` bytes. Raises OSError."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        # Not read(most), which would allocate `most` bytes for a small file too.
        content = file.read(size + 1) if size <= most else b""
    if size > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes", str(path))
    if len(content) > size:
        raise OSError(errno.EBUSY, "it is being written", str(path))
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Open without blocking: opening a pipe would otherwise wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)
