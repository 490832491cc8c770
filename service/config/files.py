"""Files that are written in one step, whole or not at all. Standard library only."""

import os
import tempfile
from pathlib import Path


def write(path: Path, text: str, mode: int) -> None:
    """Put a text into the place of a file, with these rights. Raises OSError.

    It is written under a new name of its own beside the place: no link that somebody laid there is
    followed, and nobody ever reads half of it.
    """
    descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(text.encode())
            file.flush()
            os.fsync(descriptor)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink()
        raise
