"""Several picture processes: one that is killed takes with it what it had in work, and no more."""

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import psutil
import pytest

from tests.support.pictures import file_of, five
from tests.support.server import eventually
from tests.support.web_server import WebServer, web_serving

pytestmark = pytest.mark.slow

# The side of a square that takes a while to decode.
_LARGE = 4_000
_CALLERS = 8
_KILLS = 3
_PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_serving(tmp_path_factory.mktemp("web"), images_workers="2") as server:
        eventually(lambda: _ready(server) == 2, "both score")
        yield server


def _ready(server: WebServer) -> int:
    """How often a picture process has said that it scores."""
    return server.output().count("Pictures can be scored")


def _processes(server: WebServer) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if "service.images" in child.cmdline()]


def test_the_others_go_on_and_a_death_costs_what_was_in_work(server: WebServer) -> None:
    picture, ends = file_of(five(), "PNG"), Event()

    def call() -> Counter[int]:
        statuses: Counter[int] = Counter()
        with server.client() as client:
            while not ends.is_set():
                reply = client.post("/digits/classify", content=picture, headers=_PNG)
                statuses[reply.status_code] += 1
                if reply.status_code == 503:
                    assert reply.json()["body"] == "pictures can't be scored now"
                    assert "Retry-After" in reply.headers
        return statuses

    with ThreadPoolExecutor(_CALLERS) as threads:
        callers = [threads.submit(call) for _ in range(_CALLERS)]
        try:
            for kill in range(_KILLS):
                _processes(server)[0].send_signal(signal.SIGKILL)
                eventually(lambda: _ready(server) == 3 + kill, "the next one scores")  # noqa: B023
        finally:
            ends.set()
        answered = sum((caller.result() for caller in callers), Counter[int]())
    assert set(answered) <= {201, 503}
    assert answered[503] <= _KILLS * _CALLERS
    assert answered[201] > 0
    assert len(_processes(server)) == 2


def test_while_none_runs_pictures_wait_for_the_next(server: WebServer) -> None:
    before, running = _ready(server), _processes(server)
    for process in running:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(running, timeout=30)
    with server.client() as client:
        reply = client.post("/digits/classify", content=file_of(five(), "PNG"), headers=_PNG)
    assert (reply.status_code, reply.json()) == (201, "[5]")
    eventually(lambda: _ready(server) == before + 2, "both score again")


def test_a_stop_waits_for_the_pictures_in_flight(tmp_path: Path) -> None:
    large = file_of(five().resize((_LARGE, _LARGE)), "PNG")
    with web_serving(tmp_path) as server, ThreadPoolExecutor(_CALLERS) as threads:
        eventually(lambda: _ready(server) == 1, "it scores")

        def call() -> int:
            with server.client() as client:
                path = "/digits/classify"
                return client.post(path, content=large, headers=_PNG).status_code

        callers = [threads.submit(call) for _ in range(_CALLERS)]
        eventually(lambda: "/digits/classify" in server.output(), "the first is answered")
        server.process.send_signal(signal.SIGTERM)
        assert {caller.result() for caller in callers} == {201}
