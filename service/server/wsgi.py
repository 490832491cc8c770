"""The WSGI app as an endpoint: what has no endpoint of its own is answered by Flask."""

import sys
from asyncio import Future, get_running_loop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from service.http.reply import Reply, fail
from service.server.request import Request, path_of
from service.telemetry.record import BEGAN, ENVIRON_KEY

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    from service.server.connection import Connection

# Header fields that are the server's own.
_OWN: Final = frozenset(("connection", "date", "server", "transfer-encoding"))
# What the body's length was before it was read: it is another matter now.
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))
_LONGEST_PROBE: Final = 1024
_WITHOUT_LENGTH: Final = frozenset((204, 304))


class Answer(NamedTuple):
    """A reply of the app: `fields` are header lines with their ends."""

    status: int
    fields: bytes
    body: bytes


class WsgiEndpoint:
    """Calls the app in the event loop, a few requests in each iteration."""

    def __init__(
        self,
        app: "WSGIApplication",
        failed: Callable[[Exception, "WSGIEnvironment"], Reply],
        longest_body: int,
        queue: Callable[[Callable[[], None]], None],
    ) -> None:
        """`failed` makes the reply to an exception that the app let out.

        `queue` has something called in one of the loop's next iterations.
        """
        self._app = app
        self._failed = failed
        self._longest_body = longest_body
        self._queue = queue

    def admit(self, request: Request) -> int:
        """The app refuses what it does not want, by the whole request."""
        del request
        return self._longest_body

    def full(self, request: Request) -> Reply:
        """The refusal of a body for which there is no room now."""
        del request
        return unavailable()

    def answer(self, request: Request, connection: "Connection") -> None:
        """Call the app, and reply."""
        self._queue(partial(self._reply, request, connection))

    def _reply(self, request: Request, connection: "Connection") -> None:
        connection.respond(request, *self.call(environ_of(request, connection)))

    def call(self, environ: "WSGIEnvironment") -> Answer:
        """The app's reply to a request."""
        status, headers = 500, []

        def start_response(
            line: str, fields: list[tuple[str, str]], exc_info: "OptExcInfo | None" = None, /
        ) -> Callable[[bytes], object]:
            nonlocal status, headers
            del exc_info
            status, headers = int(line[:3]), fields
            return _no_writes

        try:
            chunks = self._app(environ, start_response)
            try:
                body = b"".join(chunks)
            finally:
                if hasattr(chunks, "close"):
                    chunks.close()
        except Exception as error:  # noqa: BLE001 - Flask answers its own; this is the last resort
            reply = self._failed(error, environ)
            return Answer(reply.status, reply.fields, reply.body)
        return Answer(status, _fields(headers, status, len(body)), body)


class ProbeEndpoint:
    """Answers probes past the app, so that floods of them cost little. A body is of no use here."""

    def __init__(self, answer: Callable[[], Reply]) -> None:
        self._answer = answer

    def admit(self, request: Request) -> int:
        """Every probe is answered."""
        request.record.route = path_of(request.target).decode()
        return _LONGEST_PROBE

    def full(self, request: Request) -> Reply:
        """The refusal of a body for which there is no room now."""
        del request
        return unavailable()

    def answer(self, request: Request, connection: "Connection") -> None:
        """Reply."""
        connection.reply(request, self._answer())


class ThreadedWsgiEndpoint(WsgiEndpoint):
    """Calls the app in threads, for what may block; more calls than may wait are refused."""

    def __init__(
        self, *arguments: Any, threads: int, waiting: int, for_anybody: bool = False
    ) -> None:
        """`for_anybody`: refused while clients leave too many such pages unread."""
        super().__init__(*arguments)
        self._for_anybody = for_anybody
        self._pool = ThreadPoolExecutor(threads, "wsgi")
        self._most = threads + waiting
        self._calls = 0

    def answer(self, request: Request, connection: "Connection") -> None:
        """Call the app in a thread, and reply when it has answered."""
        full = self._calls >= self._most or (self._for_anybody and not connection.takes_pages)
        if full:
            connection.reply(request, self.full(request))
            return

        def reply(answer: "Future[Answer]") -> None:
            self._calls -= 1
            connection.respond(request, *answer.result())

        self._calls += 1
        environ = environ_of(request, connection)
        try:
            future = get_running_loop().run_in_executor(self._pool, self.call, environ)
        except RuntimeError:  # no thread can be started
            self._calls -= 1
            connection.reply(request, unavailable())
        else:
            future.add_done_callback(reply)


def unavailable() -> Reply:
    """The refusal of a request that can be sent again."""
    reply = fail(503, "too many such requests are being answered")
    reply.add("Retry-After", "1")
    return reply


def _no_writes(_piece: bytes) -> object:
    """In place of WSGI's function for writing in pieces."""
    raise NotImplementedError


def environ_of(request: Request, connection: "Connection") -> "WSGIEnvironment":
    """The WSGI environ of a request that is complete.

    Its body is no longer in chunks. Header names with an underscore are left out: they would be
    taken for those with a dash.
    """
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method.decode("latin-1"),
        "SCRIPT_NAME": "",
        "PATH_INFO": path_of(request.target).decode("latin-1"),
        "QUERY_STRING": request.target.partition(b"?")[2].decode("latin-1"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": connection.peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(request.body)) if request.body else "",
        ENVIRON_KEY: request.record,
        BEGAN: request.began,
    }
    for name, value in request.headers.items():
        if b"_" not in name and name not in _FRAMING:
            environ[_variable(name)] = value.decode("latin-1")
    return environ


def _variable(name: bytes) -> str:
    named = name.decode("latin-1").upper().replace("-", "_")
    return named if named == "CONTENT_TYPE" else f"HTTP_{named}"


def _fields(headers: list[tuple[str, str]], status: int, length: int) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in headers if name.lower() not in _OWN]
    if status not in _WITHOUT_LENGTH and not any(n.lower() == "content-length" for n, _ in headers):
        lines.append(f"Content-Length: {length}\r\n")
    return "".join(lines).encode("latin-1")
