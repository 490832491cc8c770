"""A file of an attempt: while it is read, a cancellation is obeyed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast


@contextmanager
def watched(file: BinaryIO, look: Callable[[], None]) -> Iterator[BinaryIO]:
    """Give the file; each reading of it calls `look` first.

    What that raises ends the block, also where a library takes it for a damaged file.
    """
    given = _Watched(file, look)
    try:
        yield cast("BinaryIO", given)
    except Exception as error:
        if given.ended is None or given.ended is error:
            raise
        raise given.ended from error


class _Watched:
    """Reads a file. All else is the file's."""

    def __init__(self, file: BinaryIO, look: Callable[[], None]) -> None:
        self._file = file
        self._look = look
        self.ended: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """Look, and read."""
        if self.ended is None:
            try:
                self._look()
            except Exception as error:
                self.ended = error
                raise
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
