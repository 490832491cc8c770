"""Contributions of features, worked out beside the process that scores.

They take CatBoost some ten milliseconds a row, and all its calls in a process take turns (see
`catboost_file`): in a thread, each row would hold up all scoring for so long. So they have a
process of their own, started when first needed, which runs when nobody else wants to.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

from model.errors import NotExplained
from model.regno.catboost_file import BinaryModel, Contributions
from model.regno.features import Row

_ROOT: Final = Path(__file__).parents[2]


class Explainer:
    """Asks the process of one model; at most one question at a time, whatever thread asks."""

    def __init__(self, model: BinaryModel) -> None:
        self._model = model
        self._lock = Lock()
        self._process: _Process | None = None

    def contributions(self, rows: Sequence[Row], seconds: float) -> list[Contributions]:
        """Those of each row, within so many seconds.

        Raises NotExplained: `in_time` is false when it took too long; the process is ended then.
        """
        latest = monotonic() + seconds
        with self._lock:
            try:
                return self._ask(rows, latest)
            except (EOFError, OSError):  # somebody killed it: another may have more luck
                self._end()
            try:
                return self._ask(rows, latest)
            except (EOFError, OSError) as error:
                self._end()
                raise NotExplained("its process ended") from error

    def close(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            self._end()

    def _ask(self, rows: Sequence[Row], latest: float) -> list[Contributions]:
        process = self._process = self._process or _Process(self._model)
        process.connection.send(rows)
        if not process.connection.poll(max(0.0, latest - monotonic())):
            self._end()
            raise NotExplained("it took too long", in_time=False)
        answer: list[Contributions] | str = process.connection.recv()
        if isinstance(answer, str):
            raise NotExplained(f"there it is a {answer}")
        return answer

    def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            process.end()


class _Process:
    """The process while it runs, and our end of the connection to it."""

    def __init__(self, model: BinaryModel) -> None:
        self.connection, theirs = Pipe()
        # In memory: a pipe would hold us up until the process reads, and a file leaves traces.
        with theirs, os.fdopen(os.memfd_create("model"), "w+b") as file:
            pickle.dump(model, file)
            file.flush()
            ends = (theirs.fileno(), file.fileno())
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "model.regno.explain_process", *map(str, ends)],
                pass_fds=ends,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def end(self) -> None:
        """End it, and wait until it has gone."""
        self.connection.close()
        self._process.kill()
        self._process.wait()
