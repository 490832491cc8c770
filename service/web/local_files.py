"""Files of this server that a caller may name: those in the folder SCORING_DIGITS_DATA."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from service.http.errors import Refused


@contextmanager
def named_file(folder: str, field: str, name: object) -> Iterator[BinaryIO]:
    """The file of a name in the folder, open; no link leads out of it. Raises Refused."""
    if not folder:
        raise Refused(400, f"{field}: SCORING_DIGITS_DATA names no folder for it")
    if not isinstance(name, str) or "\0" in name:
        raise Refused(400, f"{field}: must be the path of a file")
    inside = Path(folder).resolve()
    path = (inside / name).resolve()
    try:
        if not path.is_relative_to(inside) or not path.is_file():
            raise Refused(400, f"{field}: there is no such file in the folder of this server")
        file = path.open("rb")
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise Refused(400, f"{field}: it can't be read: {reason}") from None
    with file:
        yield file
