"""A real Redis server of Debian's package, on loopback, with its append-only file in a folder."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from loadgen.common.processes import free_port
from tests.support.data_servers import DataServer


def installed() -> str:
    """The path of the program; the test fails where there is none."""
    path = shutil.which("redis-server")
    if path is None:
        pytest.fail("Redis is missing (Debian: apt-get install redis-server)")
    return path


class RedisServer(DataServer):
    """A server that keeps its data over a restart."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        # As docs/operating.md says for the records of jobs.
        command = (
            *(installed(), "--bind", "127.0.0.1", "--port", str(self.port)),
            *("--dir", str(folder), "--save", "", "--daemonize", "no"),
            *("--appendonly", "yes", "--appendfsync", "everysec"),
            *("--maxmemory-policy", "noeviction", "--ignore-warnings", "ARM64-COW-BUG"),
        )
        super().__init__(command, folder)

    def answers(self) -> bool:
        """Whether it has read its data."""
        with suppress(RedisError), Redis(port=self.port, socket_timeout=1) as client:
            return bool(client.ping())
        return False

    @contextmanager
    def losing_nothing(self) -> Iterator[None]:
        """Each change on the disk before its reply, while the block runs.

        Otherwise Redis may hold a write back while the disk is busy, and a crash would lose it.
        """
        self._command = (*self._command, "--appendfsync", "always")
        self.restart()
        try:
            yield
        finally:
            self._command = self._command[:-2]
            self.restart()

    @contextmanager
    def full(self) -> Iterator[None]:
        """No memory for anything new while the block runs."""
        with Redis(port=self.port) as client:
            client.config_set("maxmemory", 1)
            try:
                yield
            finally:
                client.config_set("maxmemory", 0)

    def clear(self) -> None:
        """Remove all data."""
        with Redis(port=self.port) as client:
            client.flushall()
