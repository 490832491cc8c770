"""The gunicorn worker: gevent's, without monkey-patching, and lean where it was measured."""

from contextlib import suppress
from functools import partial
from http import HTTPStatus
from secrets import token_hex
from time import monotonic, perf_counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import gevent
import msgspec
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http import errors, wsgi
from gunicorn.http.body import ChunkedReader
from gunicorn.workers.ggevent import GeventWorker

from service import body
from service.accepting import FairServer
from service.board import board
from service.errors import tell
from service.idle import IdleConnections, UnfinishedBodies
from service.record import ENVIRON_KEY, Record
from service.reply import Envelope
from service.response import OnePieceResponse
from service.settings import of_this_server

if TYPE_CHECKING:
    from collections.abc import Callable

# After a stop begins, how long an idle connection stays open for a request that its client
# may just be sending: that one is still answered, with `Connection: close`.
_LINGER_SECONDS: Final = 1.0

# How long a body may take to come, while the server runs and once it is to stop.
_BODY_SECONDS: Final = 20.0
_LAST_BODY_SECONDS: Final = 5.0

_METRICS_CONNECTIONS: Final = 16

# Of a body that nobody wants: what is read to keep the connection, and what to end it kindly.
_WORTH_READING: Final = 64 * 1024
_PIECE: Final = 64 * 1024
_DROPPED: Final = 16 * 1024 * 1024


class ScoringWorker(GeventWorker):  # type: ignore[misc]
    """One greenlet for each connection, one operating-system thread for all of them.

    `place` is this worker's place on the board. It is taken here, in the master, before the
    fork; `child_exit` of the configuration gives it back.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle = IdleConnections()
        self._bodies = UnfinishedBodies()
        self._board = board()
        self.place = self._board.take()
        # What else is to be done then, with the sockets that are listened on; the
        # configuration says.
        self.each_second: Callable[[list[Any]], None] = lambda _sockets: None
        self._metrics_address = of_this_server().metrics_address
        self._connections = Pool(self.worker_connections)
        # gunicorn looks a setting up in two steps of Python, dozens of times a request. Its
        # lookup runs only for what is no plain attribute; a worker's settings don't change.
        self.cfg.__dict__.update({name: s.get() for name, s in self.cfg.settings.items()})

    def patch(self) -> None:
        """Turn the listening sockets into gevent's, and patch nothing else.

        The app waits for nothing but its client, so the standard library can stay as it
        is: locks and threads of libraries then mean what they say.
        """
        self.sockets: list[Any] = [
            socket.socket(s.FAMILY, socket.SOCK_STREAM, fileno=s.sock.detach())
            for s in self.sockets
        ]

    def run(self) -> None:
        """Serve until told to stop, then let what is in flight end."""
        hub: Any = gevent.get_hub()
        hub.print_exception = _tell_uncaught
        servers = [self._server(listener) for listener in self.sockets]
        while self.alive:
            self._tick()
        self._board.close(self.place)
        for server in servers:
            server.close()
        deadline = monotonic() + self.cfg.graceful_timeout
        while len(self._connections) and monotonic() < deadline:
            self._tick()
        self._connections.kill(timeout=1)

    def _server(self, listener: Any) -> StreamServer:
        listener.setblocking(1)
        if self._is_for_metrics(listener.getsockname()):
            # Few, and not among those of callers: they are let in when all places are taken.
            handle = partial(super().handle, listener)
            server = StreamServer(listener, handle=handle, spawn=_METRICS_CONNECTIONS)
        else:
            handle = partial(self.handle, listener)
            server = FairServer(
                *(listener, handle), spawn=self._connections, board=self._board, place=self.place
            )
        server.start()
        return server

    def _is_for_metrics(self, name: Any) -> bool:
        return self._metrics_address is not None and name[:2] == self._metrics_address

    def _tick(self) -> None:
        """Tell the arbiter that this worker lives, and close idle connections."""
        self.notify()
        self._idle.close(self.cfg.keepalive if self.alive else _LINGER_SECONDS)
        self._bodies.close(_BODY_SECONDS if self.alive else _LAST_BODY_SECONDS)
        self.each_second(self.sockets if self.alive else [])
        gevent.sleep(1.0 if self.alive else 0.1)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection from its first request to its end."""
        self._board.publish(self.place, len(self._connections))
        try:
            super().handle(listener, client, addr)
        finally:
            self._board.publish(self.place, len(self._connections) - 1)

    def timeout_ctx(self) -> IdleConnections:
        """What gunicorn enters while a connection waits for its next request."""
        return self._idle

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Answer one request: gunicorn's own steps less the hooks that are not used here."""
        began = perf_counter()
        response, environ = wsgi.create(
            req, sock, addr, listener_name, self.cfg, response_class=OnePieceResponse
        )
        environ[body.WAIT] = self._bodies
        app = self.wsgi
        if self._is_for_metrics(listener_name):
            app = self.wsgi.extensions["metrics_app"]
        if not self.alive:
            response.force_close()
        try:
            self._respond(app, response, environ, req)
        except OSError:
            raise  # the client has gone: gunicorn's loop closes the connection quietly
        except Exception as error:
            if not response.headers_sent:
                raise
            # A reply that has begun can't become another: end the connection instead.
            tell(error, environ[ENVIRON_KEY], environ)
            raise StopIteration from None
        finally:
            self.log.access(response, req, environ, perf_counter() - began)
        if response.should_close():
            if _unread(req):
                _drop_rest(sock)
            raise StopIteration  # how gunicorn's loop is told to close the connection

    def _respond(
        self, app: Any, response: OnePieceResponse, environ: dict[str, Any], req: Any
    ) -> None:
        chunks: Any = app(environ, response.start_response)
        try:
            if _unread(req) or response.status_code == HTTPStatus.REQUEST_TIMEOUT:
                response.force_close()
            if isinstance(chunks, wsgi.FileWrapper):
                response.write_file(chunks)
            else:
                for chunk in chunks:
                    response.write(chunk)
            response.close()
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    def _count_unparsed(self, record: Record, status: int) -> None:
        """What never reached the door, and so has neither a count nor a line."""
        labels = (record.route, "other", str(status), "")
        self.wsgi.extensions["metrics"].http.observe(labels, 0.0)
        environ = {ENVIRON_KEY: record, "REQUEST_METHOD": "other"}
        self.log.access(SimpleNamespace(status_code=status), None, environ, 0.0)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what is no HTTP, or broke outside the app, in the envelope.

        gunicorn's own version logs and echoes the offending text, which may hold a plate.
        """
        del req, addr
        status = _parse_status(exc)
        record = Record(token_hex(16))
        record.route = "unmatched"
        self.log.warning("Request %s was refused: %s", record.request_id, type(exc).__name__)
        if status < 500:
            self._count_unparsed(record, status)
        elif isinstance(exc, Exception):  # the door has counted it; and not what ends a greenlet
            tell(exc, record)
        text = msgspec.json.encode(Envelope(HTTPStatus(status).phrase.lower(), "fail"))
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
            f"X-Request-Id: {record.request_id}\r\n"
            f"X-Model-Version: {self.wsgi.extensions['slot'].current.version}\r\n\r\n"
        )
        with suppress(OSError):
            client.sendall(head.encode() + text)


def _tell_uncaught(context: object, kind: type, error: BaseException, trace: object) -> None:
    """What gevent does with an error that no greenlet caught: its own way prints the text."""
    del context, kind, trace
    tell(error, Record(token_hex(16)))


def _unread(req: Any) -> bool:
    """Whether a refused request's body waits to be read, and is too long to be read for nothing.

    To keep the connection, gunicorn would read it all, without end if it has none, and
    without a turn for others.
    """
    reader = req.body.reader
    if isinstance(reader, ChunkedReader):
        return reader.parser is not None
    return getattr(reader, "length", 0) > _WORTH_READING


def _drop_rest(client: Any) -> None:
    """Read some of a refused body, and let others have their turns.

    A close with bytes unread resets the connection, and the client never sees the reply.
    """
    with suppress(OSError, gevent.Timeout), gevent.Timeout(_LINGER_SECONDS):
        client.shutdown(socket.SHUT_WR)
        dropped = 0
        while dropped < _DROPPED and (piece := client.recv(_PIECE)):
            dropped += len(piece)
            gevent.sleep(0)


def _parse_status(exc: BaseException) -> int:
    if not isinstance(exc, errors.ParseException):
        return 500
    if isinstance(exc, errors.LimitRequestLine):
        return 414
    return 431 if isinstance(exc, errors.LimitRequestHeaders) else 400
