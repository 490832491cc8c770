"""Contributions of features, computed in another process than the one that scores.

CatBoost takes some ten milliseconds a row, and all its calls in a process are serialised (see
`catboost_file`): in a thread, each explained row would delay all scoring for that long. So a
separate process computes them. It starts on first use and runs with idle priority.
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

from model.cache import ExplanationCache
from model.errors import ExplainerGone, NotExplained
from model.regno.explain.cached import Counted, Source
from model.regno.features import Row
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.score import Contributions

_ROOT: Final = Path(__file__).parents[3]
# Raised when the other end of a connection is gone.
_ENDED: Final = (EOFError, ConnectionError)
# Signals of a process whose own code crashed; the kernel's out-of-memory killer sends another.
_CRASHES: Final = frozenset(
    -number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)
)


class Explainer:
    """The client of one model's process; serialises the calls of all threads."""

    def __init__(
        self, model: BinaryModel, version: str, cache: ExplanationCache | None = None
    ) -> None:
        """`version` names all that the model's contributions depend on besides the row."""
        self._source = Source(model, version, cache.opener if cache else None)
        self._cache = cache
        self._lock = Lock()
        self._process: _Process | None = None

    def contributions(self, rows: Sequence[Row], seconds: float) -> list[Contributions]:
        """The contributions of each row.

        Raises NotExplained; after `seconds` with `in_time` false, and the process is ended.
        Raises ExplainerGone if no process can be started, or it is killed twice.
        """
        latest = monotonic() + seconds
        with self._lock:
            try:
                return self._ask(rows, latest)
            except _ENDED:  # it was killed: try once more with a new one
                self._end()
            try:
                return self._ask(rows, latest)
            except _ENDED as error:
                code = self._end()
                if code in _CRASHES:
                    raise NotExplained(f"its process ended (signal {-code})") from error
                raise ExplainerGone("its process ended") from error

    def close(self) -> None:
        """End the process; the next call starts another."""
        with self._lock:
            self._end()

    def _ask(self, rows: Sequence[Row], latest: float) -> list[Contributions]:
        process = self._process = self._process or self._start()
        process.connection.send(rows)
        if not process.connection.poll(max(0.0, latest - monotonic())):
            self._end()
            raise NotExplained("it took too long", in_time=False)
        answer: Counted | tuple[str, dict[str, int]] = process.connection.recv()
        contributions, counts = answer
        if isinstance(contributions, str):
            raise NotExplained(contributions)
        if self._cache:
            for result, number in counts.items():
                self._cache.observe(result, number)
        return contributions

    def _start(self) -> "_Process":
        try:
            return _Process(self._source)
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ExplainerGone(f"no process for it can be made: {reason}") from error

    def _end(self) -> int:
        """End the process. Returns its exit code, 0 if there is none."""
        process, self._process = self._process, None
        return process.end() if process else 0


class _Process:
    """A running process and the connection to it."""

    def __init__(self, source: Source) -> None:
        """Raises OSError or MemoryError if no process can be started."""
        self.connection, child_end = Pipe()
        try:
            with child_end:
                self._process = _popen(source, child_end)
        except BaseException:
            self.connection.close()
            raise

    def end(self) -> int:
        """End it, and wait until it has gone. Returns its exit code."""
        self.connection.close()
        self._process.kill()
        return self._process.wait()


def _popen(source: Source, child_end: Connection) -> "subprocess.Popen[bytes]":
    # In memory: writing to a pipe would wait until the process reads, and a file leaves traces.
    with os.fdopen(os.memfd_create("source"), "w+b") as file:
        pickle.dump(source, file)
        file.flush()
        descriptors = (child_end.fileno(), file.fileno())
        return subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "model.regno.explain.process", *map(str, descriptors)],
            pass_fds=descriptors,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
