"""Odd, slow and hostile clients of the web processes: they get replies, and others are served."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from tests.support.reply import Reply
from tests.support.server import KEY, eventually
from tests.support.web import READING
from tests.support.web_server import WebServer, web_serving

pytestmark = pytest.mark.slow

_THREADS = 4


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """Web processes with few threads."""
    folder = tmp_path_factory.mktemp("hostile")
    with web_serving(folder, web_threads=str(_THREADS), job_max_mb="1") as server:
        yield server


@pytest.fixture
def jobs(web: WebServer) -> Iterator[httpx.Client]:
    """A client with the key."""
    with web.client() as client:
        yield client


def _connect(web: WebServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", web.port), 60)


def _sent(web: WebServer, raw: bytes, *, then_end: bool = False) -> Reply:
    """The reply to some bytes on a connection of their own."""
    with closing(_connect(web)) as connection:
        connection.sendall(raw)
        if then_end:
            connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection, method="POST")
        response.begin()
        return Reply.of(response)


def _head(*lines: str, method: str = "POST", target: str = "/jobs?model=regno") -> bytes:
    fixed = (f"{method} {target} HTTP/1.1", "Host: localhost", f"x-api-key: {KEY}")
    return "\r\n".join((*fixed, *lines, "", "")).encode()


_CSV = "Content-Type: text/csv"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /jobs HTTP/9.9\r\n\r\n", 400),
        (_head("Content-Length: x"), 400),
        (_head("Content-Length: 1", "Content-Length: 2"), 400),
        (_head("a b: c"), 400),
        (_head(f"X-Long: {'x' * 20_000}"), 431),
        (_head(*(f"X-{number}: y" for number in range(200))), 431),
        (_head(target="/jobs/" + "x" * 10_000, method="GET"), 414),
        (_head("Expect: nothing", "Content-Length: 1"), 417),
        (_head("Transfer-Encoding: chunked", _CSV) + b"zz\r\nx\r\n0\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused_in_the_envelope(
    raw: bytes, status: int, web: WebServer, jobs: httpx.Client
) -> None:
    reply = _sent(web, raw)
    assert reply.status == status
    assert reply.header("content-type") == "application/json"
    assert reply.header("x-request-id")
    assert reply.json()["status"] == "fail"
    assert jobs.get("/healthz").status_code == 200


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit_is_refused_whatever_it_states(
    *, chunked: bool, web: WebServer
) -> None:
    body = b"x" * (3 << 20)
    if chunked:
        raw = _head("Transfer-Encoding: chunked", _CSV)
        raw += b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        raw = _head(f"Content-Length: {len(body)}", _CSV)
    assert _sent(web, raw).status == 413
    assert not list((web.jobs / "blobs").rglob("*.part"))


def test_a_body_in_chunks_is_taken(web: WebServer) -> None:
    raw = _head("Transfer-Encoding: chunked", _CSV) + b"3\r\na,b\r\n1\r\n\n\r\n0\r\n\r\n"
    assert _sent(web, raw).status == 202


def test_a_body_that_ends_early_is_refused_and_leaves_nothing(web: WebServer) -> None:
    before = set((web.jobs / "blobs").iterdir())
    reply = _sent(web, _head("Content-Length: 1000", _CSV) + b"a,b\n", then_end=True)
    assert reply.status == 400
    assert set((web.jobs / "blobs").iterdir()) == before


def test_slow_clients_of_all_threads_are_let_go(web: WebServer, jobs: httpx.Client) -> None:
    """As many slow heads and bodies as there are threads: they are ended, and others served."""
    with ExitStack() as opened:
        heads = [opened.enter_context(closing(_connect(web))) for _ in range(_THREADS // 2)]
        for connection in heads:
            connection.sendall(b"POST /jobs HTTP/1.1\r\nHost: lo")
        bodies = [opened.enter_context(closing(_connect(web))) for _ in range(_THREADS // 2)]
        for connection in bodies:
            connection.sendall(_head("Content-Length: 100000", _CSV) + b"a,b\n")
        with ThreadPoolExecutor(_THREADS) as threads:
            replies = list(threads.map(lambda _: jobs.get("/jobs").status_code, range(_THREADS)))
        assert replies == [200] * _THREADS
        for connection in heads:
            assert connection.recv(1) == b""
        for connection in bodies:
            response = HTTPResponse(connection, method="POST")
            response.begin()
            assert Reply.of(response).status == 408
    assert not list((web.jobs / "blobs").rglob("*.part"))
    assert '"level":"error"' not in web.output()


def test_waiting_callers_leave_threads_for_others(web: WebServer, jobs: httpx.Client) -> None:
    """Twice as many long waits as threads at once, for a job that nobody does yet."""
    worker = web.job_worker()
    processes = [worker, *worker.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        path = jobs.post("/jobs", json={"model": "regno", "input": READING}).headers["location"]
        with ThreadPoolExecutor(2 * _THREADS) as threads:
            waits = [threads.submit(jobs.get, f"{path}?wait=25") for _ in range(2 * _THREADS)]

            def half_of_the_threads_wait() -> bool:
                return sum(not wait.done() for wait in waits) == _THREADS // 2

            eventually(half_of_the_threads_wait, "the others are answered at once")
            assert jobs.get("/healthz").status_code == 200
            assert half_of_the_threads_wait(), "it was answered before them"
            for process in processes:
                process.resume()
            states = {wait.result().json()["body"]["state"] for wait in waits}
    finally:
        for process in processes:
            process.resume()
    assert states <= {"queued", "running", "succeeded"}
    assert "succeeded" in states


def test_a_client_that_hangs_up_while_it_waits_harms_nobody(
    web: WebServer, jobs: httpx.Client
) -> None:
    path = jobs.post("/jobs", json={"model": "regno", "input": READING}).headers["location"]
    for _ in range(3 * _THREADS):
        with closing(_connect(web)) as connection:
            connection.sendall(_head(method="GET", target=f"{path}?wait=1"))
    eventually(lambda: jobs.get(path).json()["body"]["state"] == "succeeded", "the job is done")


def test_connections_are_kept(web: WebServer) -> None:
    with closing(_connect(web)) as connection:
        for _ in range(3):
            connection.sendall(_head(method="GET", target="/healthz"))
            response = HTTPResponse(connection, method="GET")
            response.begin()
            assert json.loads(response.read())["body"] == "alive"


def test_a_folder_that_is_full_or_gone_is_503(tmp_path: Path) -> None:
    with web_serving(tmp_path) as server, server.client() as jobs:
        blobs = server.jobs / "blobs"
        blobs.rename(tmp_path / "elsewhere") if blobs.exists() else None
        blobs.write_text("a file in the place of the folder")
        reply = jobs.post("/jobs", json={"model": "regno", "input": READING})
        assert (reply.status_code, "retry-after" in reply.headers) == (503, True)
        blobs.unlink()
        assert jobs.post("/jobs", json={"model": "regno", "input": READING}).status_code == 202
