"""How a command of this room ends before its end: with a message, an exit status, no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tqdm import tqdm

# A bar starts a thread that redraws it when it stands still. A Stop that comes in that moment is
# swallowed by tqdm, with a warning.
tqdm.monitor_interval = 0


class Stop(Exception):
    """A message for the user and the exit status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Stopped:
    """The handler of signals that end a run. It raises, and remembers.

    Python drops what is raised in a callback of its own, in the middle of which a signal may
    come, and CatBoost makes a KeyboardInterrupt of it: so a run looks again in between.
    """

    def __init__(self) -> None:
        self._by: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """A signal has come."""
        self._by = number
        self.check()

    def __bool__(self) -> bool:
        """Whether one has come."""
        return self._by is not None

    def check(self) -> None:
        """Raise Stop when one has come."""
        if self._by is not None:
            raise Stop(128 + self._by, "stopped")


@contextmanager
def failing(status: int, path: Path) -> Iterator[None]:
    """Failures of the operating system within end the run with this status."""
    try:
        yield
    except OSError as error:
        raise Stop(status, f"{path}: {error.strerror or error}") from error
