"""Inherited listening sockets, as systemd passes them, and several masters on one socket."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from loadgen.common.processes import Program
from tests.support.live import Connection
from tests.support.server import eventually, serving
from tests.support.strategies import VALID

pytestmark = pytest.mark.slow

# What systemd does between fork and exec: the first socket is 3, and the process is named.
_LEND = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "service"])
"""


@contextmanager
def _inheriting(folder: Path, listener: socket.socket) -> Iterator[str]:
    """Start a server on an inherited socket; give its address; stop it at the end."""
    number = listener.fileno()
    server = Program(
        [sys.executable, "-c", _LEND, str(number)],
        folder,
        folder / "log",
        {"TMPDIR": str(folder), "SCORING_WORKERS": "2"},
        pass_fds=(number,),
    )
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        assert server.stop() == 0


def test_an_inherited_socket_serves_the_next_server_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(3):
            # A client that connects between two servers waits in the queue.
            with _inheriting(tmp_path, listener) as url:
                assert httpx.get(f"{url}/healthz", timeout=20).status_code == 200


def test_usr2_is_logged_as_ignored_and_ends_no_connection(tmp_path: Path) -> None:
    with serving(tmp_path, workers="1") as server, closing(Connection(server)) as kept:
        server.process.send_signal(signal.SIGUSR2)
        eventually(lambda: "USR2 is ignored" in server.output(), "the log says so")
        assert kept.score(VALID).status == 200
        assert len(server.workers()) == 1
