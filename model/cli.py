"""How commands end early: with a message and an exit status, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tqdm import tqdm

# tqdm's monitor thread redraws a bar that stands still. An Exit that a signal raises at that moment
# would be swallowed by tqdm, with a warning.
tqdm.monitor_interval = 0


class Exit(Exception):
    """Ends a command with a message for the user and an exit status (of sysexits.h)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class SignalFlag:
    """A handler of the signals that end a run: it raises Exit and remembers the signal.

    Raising alone is not enough: Python drops what is raised within some of its own callbacks, and
    CatBoost turns it into a KeyboardInterrupt. So a run also calls `check` between steps.
    """

    def __init__(self) -> None:
        self._signal: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal: remember it and raise Exit."""
        self._signal = number
        self.check()

    def __bool__(self) -> bool:
        """Whether a signal has arrived."""
        return self._signal is not None

    def check(self) -> None:
        """Raise Exit if a signal has arrived."""
        if self._signal is not None:
            raise Exit(128 + self._signal, "stopped")


@contextmanager
def os_errors_exit(status: int, path: Path) -> Iterator[None]:
    """Turn an OSError within the block into an Exit with this status that names the path."""
    try:
        yield
    except OSError as error:
        raise Exit(status, f"{path}: {error.strerror or error}") from error
