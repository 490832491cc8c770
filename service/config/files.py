"""Files that are written in one step, whole or not at all. Standard library only."""

import os
import tempfile
from pathlib import Path


def write(path: Path, text: str, mode: int) -> None:
    """Put a text into the place of a file, with these rights. Raises OSError.

    It is written under a new name in the same folder, then renamed: existing links are not
    followed, and readers never see half of it.
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
