"""Servers of Debian's packages that keep their data: start, stop, kill and pause."""

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Self

from loadgen.common.processes import Program


class DataServer(ABC):
    """A server with a folder of its own; use it as a context to have it started and ended."""

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`environment` is added to that of the tests. It is not started."""
        self._command = command
        self._folder = folder
        self._environment = environment
        self._program: Program | None = None

    @abstractmethod
    def answers(self) -> bool:
        """Whether it does what it is for."""

    def start(self) -> None:
        """Start it with the data that it has; return when it answers."""
        log = self._folder / "server.log"
        self._program = Program(self._command, self._folder, log, self._environment)
        self._program.wait_until(self.answers)

    def stop(self) -> None:
        """Stop it in order."""
        if self._program:
            self._program.close()

    def kill(self) -> None:
        """End it as a crash does."""
        assert self._program
        self._program.kill()

    def restart(self) -> None:
        """Stop it, and start it with its data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End all of its processes."""
        self.resume()  # a paused process would not take the signal to end
        self.stop()

    def pause(self) -> None:
        """Keep its connections, and answer nothing."""
        assert self._program
        process = self._program.process
        process.send_signal(signal.SIGSTOP)
        # A thread may go on until another one has taken the signal, and answer meanwhile.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Answer again."""
        if self._program and self._program.process.poll() is None:
            self._program.process.send_signal(signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No answers while the block runs."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()
