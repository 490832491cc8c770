"""Contributions of features, worked out beside the process that scores.

They take CatBoost some ten milliseconds a row, and all its calls in a process take turns (see
`catboost_file`): in a thread, each row would hold up all scoring for so long. So they have a
process of their own, started when first needed, which runs when nobody else wants to.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

from model.errors import ExplainerGone, NotExplained
from model.regno.features import Row
from model.regno.model_file.catboost_file import BinaryModel, Contributions

_ROOT: Final = Path(__file__).parents[3]
# What tells that the other end of a connection is gone.
_ENDED: Final = (EOFError, ConnectionError)
# How a process ends whose own code is at fault; the kernel ends one without memory by another.
_CRASHES: Final = frozenset(
    -number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)
)


class Explainer:
    """Asks the process of one model; at most one question at a time, whatever thread asks."""

    def __init__(self, model: BinaryModel) -> None:
        self._model = model
        self._lock = Lock()
        self._process: _Process | None = None

    def contributions(self, rows: Sequence[Row], seconds: float) -> list[Contributions]:
        """Those of each row, within so many seconds.

        Raises NotExplained: `in_time` is false when it took too long; the process is ended then.
        Raises ExplainerGone when there can be no process, or somebody ends it again and again.
        """
        latest = monotonic() + seconds
        with self._lock:
            try:
                return self._ask(rows, latest)
            except _ENDED:  # somebody killed it: another may have more luck
                self._end()
            try:
                return self._ask(rows, latest)
            except _ENDED as error:
                code = self._end()
                if code in _CRASHES:
                    raise NotExplained(f"its process ended (signal {-code})") from error
                raise ExplainerGone("its process ended") from error

    def close(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            self._end()

    def _ask(self, rows: Sequence[Row], latest: float) -> list[Contributions]:
        process = self._process = self._process or self._begun()
        process.connection.send(rows)
        if not process.connection.poll(max(0.0, latest - monotonic())):
            self._end()
            raise NotExplained("it took too long", in_time=False)
        answer: list[Contributions] | str = process.connection.recv()
        if isinstance(answer, str):
            raise NotExplained(answer)
        return answer

    def _begun(self) -> "_Process":
        try:
            return _Process(self._model)
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ExplainerGone(f"no process for it can be made: {reason}") from error

    def _end(self) -> int:
        """End the process; its exit code, as it was if it had ended by itself."""
        process, self._process = self._process, None
        return process.end() if process else 0


class _Process:
    """The process while it runs, and our end of the connection to it."""

    def __init__(self, model: BinaryModel) -> None:
        """Raises OSError or MemoryError when there is no room for another process."""
        self.connection, theirs = Pipe()
        try:
            with theirs:
                self._process = _started(model, theirs)
        except BaseException:
            self.connection.close()
            raise

    def end(self) -> int:
        """End it, and wait until it has gone. Returns its exit code."""
        self.connection.close()
        self._process.kill()
        return self._process.wait()


def _started(model: BinaryModel, theirs: Connection) -> "subprocess.Popen[bytes]":
    # In memory: a pipe would hold us up until the process reads, and a file leaves traces.
    with os.fdopen(os.memfd_create("model"), "w+b") as file:
        pickle.dump(model, file)
        file.flush()
        ends = (theirs.fileno(), file.fileno())
        return subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "model.regno.explain.explain_process", *map(str, ends)],
            pass_fds=ends,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
