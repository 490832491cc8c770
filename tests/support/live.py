"""Connections to the live server; one that the server closed is never reopened silently."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Final

from prometheus_client.mmap_dict import MmapedDict

from tests.support.commands import prefixed
from tests.support.reply import Reply
from tests.support.server import KEY, KEY_HEADER, Server, eventually
from tests.support.strategies import VALID

JSON: Final = "application/json"


def assert_refused_by_service(reply: Reply) -> None:
    """It must be a 4xx with a reason, marked like every other reply."""
    assert 400 <= reply.status < 500, reply
    assert reply.reason
    assert reply.header("x-request-id")
    assert reply.header("x-model-version")


class Connection(HTTPConnection):
    """One kept-alive connection. A connection that the server dropped stays dropped: it raises."""

    auto_open = 0

    def __init__(self, server: Server) -> None:
        super().__init__("localhost")
        self.sock = server.connect()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = KEY_HEADER,
    ) -> Reply:
        """Send a request, read the reply."""
        kind = {} if body is None else {"Content-Type": JSON}
        self.request(method, path, body=body, headers={**kind, **headers})
        return Reply.of(self.getresponse())

    def score(self, body: bytes) -> Reply:
        """POST /reg/."""
        return self.ask("POST", "/reg/", body)


@contextmanager
def started(folder: Path, *arguments: str, **settings: str) -> Iterator[Server]:
    """A ready server that the test stops itself; it is stopped here only when the test fails."""
    with started_through((), folder, *arguments, **settings) as server:
        yield server


@contextmanager
def started_through(
    command: tuple[str, ...], folder: Path, *arguments: str, **settings: str
) -> Iterator[Server]:
    """The same, started by a command that takes rights or resources away."""
    named = prefixed("SCORING", settings)
    server = Server(folder, named, arguments, through=command)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


@contextmanager
def connections(server: Server, count: int) -> Iterator[list[Connection]]:
    """So many connections at once, each of which has had its first request answered."""
    opened: list[Connection] = []
    try:
        for _ in range(count):
            opened.append(Connection(server))
            assert opened[-1].ask("GET", "/healthz").status == 200
        yield opened
    finally:
        for connection in opened:
            connection.close()


def scores(server: Server) -> bool:
    """Whether a row is scored, over a connection of its own."""
    with closing(Connection(server)) as connection:
        return connection.score(VALID).status == 200


@contextmanager
def standing_still(server: Server) -> Iterator[None]:
    """All that is sent within comes to the workers at once, however slowly it is sent."""
    workers = server.workers()
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()


def head(length: int | None = None, *lines: str, target: str = "/reg/") -> bytes:
    """The head of a POST, with a Content-Length if one is given."""
    stated = () if length is None else (f"Content-Length: {length}",)
    fixed = ("Host: localhost", f"x-api-key: {KEY}", f"Content-Type: {JSON}")
    return "\r\n".join((f"POST {target} HTTP/1.1", *fixed, *stated, *lines, "", "")).encode()


def posted(body: bytes) -> bytes:
    """A whole POST /reg/."""
    return head(len(body)) + body


def chunked(body: bytes, size: int = 100) -> bytes:
    """A whole POST /reg/ whose body comes in chunks."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head(None, "Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n"


def exchange(server: Server, raw: bytes, *, then_end: bool = False) -> Reply:
    """Send bytes on a connection of their own, read one reply. `then_end` sends a FIN as well."""
    with server.connect() as sock:
        sock.sendall(raw)
        if then_end:
            sock.shutdown(1)
        response = HTTPResponse(sock, method="POST")
        try:
            response.begin()
            return Reply.of(response)
        finally:
            response.close()


def answered(server: Server) -> dict[int, float]:
    """How many requests each worker and its predecessors answered, from the file it counts in."""
    return {
        worker.pid: sum(
            value
            for path in {Path(file.path) for file in worker.open_files()}
            if path.name.startswith("counter_")
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
            if json.loads(key)[1] == "scoring_http_requests_total"
        )
        for worker in server.workers()
    }


def wait_until_all_answer(server: Server) -> None:
    """Readiness is each worker's own, and /readyz is answered by one: wait for both."""

    def shared() -> bool:
        with connections(server, 8):
            served = answered(server)
            return len(served) == 2 and min(served.values()) > 0

    eventually(shared, "both workers answer")
