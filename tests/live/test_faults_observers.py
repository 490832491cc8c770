"""Sentry, Prometheus and Grafana down: scoring goes on as if they were there.

The service asks nothing of Prometheus and Grafana: they come to it, or do not come. In all
these tests no Prometheus scrapes. It does send to Sentry, which may refuse, or never answer.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import pytest

from loadgen.common.open_loop import StreamStats
from loadgen.common.processes import free_port
from tests.support.live import started
from tests.support.load import flooding
from tests.support.planted import POISON
from tests.support.server import Server

pytestmark = pytest.mark.slow

_APP = "tests.support.breaking:app"
_RATE = 200
_SECONDS = 4.0
_ERRORS_A_SECOND = 20


@contextmanager
def _refusing() -> Iterator[str]:
    yield f"http://public@127.0.0.1:{free_port()}/1"


@contextmanager
def _silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://public@127.0.0.1:{listener.getsockname()[1]}/1"


class Failing:
    """A client whose requests the scorer breaks on, all the while."""

    def __init__(self, server: Server, body: dict[str, Any]) -> None:
        self._server = server
        self._body = {**body, "camera_class": POISON}
        self._over = Event()
        self.statuses: list[int] = []
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        with self._server.client() as client:
            while not self._over.wait(1 / _ERRORS_A_SECOND):
                self.statuses.append(client.post("/reg/", json=self._body).status_code)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _measured(folder: Path, dsn: str, body: dict[str, Any]) -> StreamStats:
    """What a steady stream feels while other requests end in a 500, and its report nowhere."""
    address = {"host": "127.0.0.1", "port": str(free_port())}
    with started(folder, _APP, **address, workers="1", sentry_dsn=dsn) as server:
        flood = flooding(server.port, _RATE, 8, seconds=_SECONDS)
        with flood as stream, Failing(server, body) as failing:
            stats = stream.wait()
        assert server.stop() == 0
    assert stats.counts() == {"200": _RATE * _SECONDS}
    assert len(failing.statuses) > _ERRORS_A_SECOND
    assert set(failing.statuses) == {500}
    return stats


@pytest.mark.parametrize("sentry", [_refusing, _silent])
def test_a_sentry_that_is_down_changes_nothing(
    sentry: Callable[[], Any], tmp_path: Path, request_body: dict[str, Any]
) -> None:
    with sentry() as dsn:
        down = _measured(tmp_path / "down", dsn, request_body)
    assert len(down.bodies) == 1
