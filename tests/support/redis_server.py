"""A real Redis server of Debian's package, on loopback, with its append-only file in a folder."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from loadgen.common.processes import Program, free_port


def _installed() -> str:
    """The path of the program; the test fails where there is none."""
    path = shutil.which("redis-server")
    if path is None:
        pytest.fail("Redis is missing (Debian: apt-get install redis-server)")
    return path


class RedisServer:
    """A server that keeps its data over a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        # As docs/operating.md says for the records of jobs.
        self._command = (
            *(_installed(), "--bind", "127.0.0.1", "--port", str(self.port)),
            *("--dir", str(folder), "--save", "", "--daemonize", "no"),
            *("--appendonly", "yes", "--appendfsync", "everysec"),
            *("--maxmemory-policy", "noeviction", "--ignore-warnings", "ARM64-COW-BUG"),
        )
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._server: Program | None = None

    def start(self) -> None:
        """Start it with the data that it has; return when it answers."""
        self._server = Program(self._command, self._folder, self._folder / "redis.log")
        self._server.wait_until(self._answers)

    def stop(self) -> None:
        """Stop it in order; its data are on disk."""
        if self._server:
            self._server.close()

    def kill(self) -> None:
        """End it as a crash does."""
        assert self._server
        self._server.kill()

    def restart(self) -> None:
        """Stop it, and start it with its data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it."""
        self.resume()  # a paused process would not take the signal to end
        self.stop()

    def pause(self) -> None:
        """Keep its connections, and answer nothing."""
        assert self._server
        self._server.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        if self._server and self._server.process.poll() is None:
            self._server.process.send_signal(signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No answers while the block runs."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def clear(self) -> None:
        """Remove all data."""
        with Redis(port=self.port) as client:
            client.flushall()

    def _answers(self) -> bool:
        with suppress(RedisError), Redis(port=self.port, socket_timeout=1) as client:
            return bool(client.ping())
        return False


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A running server, ended with the block."""
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()
