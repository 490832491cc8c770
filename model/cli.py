"""What all commands share: their parser, and how they end with a message and an exit status."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final

from tqdm import tqdm

# tqdm's monitor thread redraws a bar that stands still. An Exit that a signal raises at that moment
# would be swallowed by tqdm, with a warning.
tqdm.monitor_interval = 0

# Optuna and SciPy take no greater seed.
HIGHEST_SEED: Final = 2**32 - 1


class Exit(Exception):
    """Ends a command with a message for the user and an exit status (of sysexits.h)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class SignalFlag:
    """A handler of the signals that end a run: it remembers the signal and raises Exit.

    Raising alone is not enough: Python drops what is raised within some of its own callbacks, and
    CatBoost turns it into a KeyboardInterrupt. So a run also calls `check` between steps.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._deferred = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal: remember it, and raise Exit unless that is deferred."""
        self._signal = number
        if not self._deferred:
            self.check()

    def __bool__(self) -> bool:
        """Whether a signal has arrived."""
        return self._signal is not None

    def check(self) -> None:
        """Raise Exit if a signal has arrived."""
        if self._signal is not None:
            raise Exit(128 + self._signal, "stopped")

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block only `check` raises, and at its end: no step is left half done."""
        before, self._deferred = self._deferred, True
        try:
            yield
        finally:
            self._deferred = before
        self.check()


@contextmanager
def os_errors_exit(status: int, path: Path) -> Iterator[None]:
    """Turn an OSError within the block into an Exit with this status that names the path.

    A BrokenPipeError raises as it is if the path is "-" or a named pipe, whose reader has gone:
    `exit_status` ends without a message then.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) and (path == Path("-") or path.is_fifo()):
            raise
        raise Exit(status, f"{path}: {error.strerror or error}") from error


def program(usual: str) -> str:
    """The name that a command was called by: that of the console program, else the usual one."""
    return str(getattr(sys.modules["__main__"], "PROGRAM", usual))


def command_parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser whose texts keep their lines; the options have its `prog`, for messages.

    `prog` is the command's usual name.
    """
    prog = program(prog)
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(prog=prog)
    return parser


def share(text: str) -> float:
    """The share that an option's text gives, 0 to 1. Raises ArgumentTypeError."""
    with suppress(ValueError):
        if 0 <= (number := float(text)) <= 1:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")


@contextmanager
def stop_signals() -> Iterator[SignalFlag]:
    """The flag that SIGINT and SIGTERM set within the block."""
    flag = SignalFlag()
    before = {number: signal.signal(number, flag) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_status(prog: str, run: Callable[[], None]) -> int:
    """The status of a command that does `run`: 0, or that of an Exit, whose text it prints."""

    def status() -> int:
        try:
            run()
        except Exit as error:
            sys.stderr.write(f"{prog}: {error}\n")
            return error.status
        return 0

    return piped_status(status)


def piped_status(run: Callable[[], int]) -> int:
    """The status that `run` returns; 141, as of SIGPIPE, if its output is closed."""
    try:
        status = run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would try again at exit to write what is left, and report that.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return status


def require(needed: Mapping[str, str], extra: str = "train") -> None:
    """Raise Exit if a module of an extra is missing; `needed` names their packages."""
    if missing := [package for name, package in needed.items() if find_spec(name) is None]:
        raise Exit(
            69,
            f"{' and '.join(missing)} not installed: "
            f"run make setup, or pip install 'plate-scoring[{extra}]'",
        )
