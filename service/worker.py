"""The gunicorn worker: gevent's, without monkey-patching, and lean where it was measured."""

import errno
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from secrets import token_hex
from time import monotonic, perf_counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http import get_parser, wsgi
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.ggevent import GeventWorker

from service import body, unparsed
from service.accepting import FairServer
from service.admission import SEEN
from service.board import board
from service.entrance import Entrance
from service.errors import tell
from service.idle import IdleConnections, UnfinishedBodies
from service.record import ENVIRON_KEY, Record
from service.response import OnePieceResponse
from service.settings import of_this_server
from service.shedding import WORTH_READING, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

# How long an idle connection stays open once a stop begins, for a request that its client may
# just be sending (that one is still answered, with `Connection: close`), or once all places are
# taken: probes and callers who wait for one come before those who say nothing.
_LINGER_SECONDS: Final = 1.0

# How long a whole body may take to come, however it is divided, while the server runs and once it
# is to stop.
_BODY_SECONDS: Final = 20.0
_LAST_BODY_SECONDS: Final = 5.0

_METRICS_CONNECTIONS: Final = 16

# How a connection breaks that a client has left.
_GONE: Final = frozenset((errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN))

# Of a longer body that nobody wants: what is read to end its connection kindly.
_PIECE: Final = 64 * 1024
_DROPPED: Final = 16 * 1024 * 1024


class ScoringWorker(GeventWorker):  # type: ignore[misc]
    """One greenlet for each connection, one operating-system thread for all of them.

    `place` is this worker's place on the board. It is taken here, in the master, before the
    fork; `child_exit` of the configuration gives it back. `lent` is whether the listening sockets
    are somebody else's, who keeps them open; `post_fork` says.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle = IdleConnections()
        self._bodies = UnfinishedBodies()
        self._board = board()
        self.place = self._board.take()
        self.lent = False
        # What else is to be done then, with the sockets that are listened on; the
        # configuration says.
        self.each_second: Callable[[list[Any]], None] = lambda _sockets: None
        self._metrics_address = of_this_server().metrics_address
        self._connections = Pool(self.worker_connections)
        self._glance: Any = None
        self._entrance: Any = None
        self._loop: Any = None
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
        self._glance = self.wsgi.extensions["glance"]
        self._entrance = Entrance(self._refusal, self._idle)
        hub: Any = gevent.get_hub()
        self._loop = hub.loop
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
        name = listener.getsockname()
        # Asked for as each connection begins, and the last begin when the listener is closed.
        named = SimpleNamespace(getsockname=lambda: name)
        if self._is_for_metrics(name):
            # Few, and not among those of callers: they are let in when all places are taken.
            handle = partial(super().handle, named)
            server = StreamServer(listener, handle=handle, spawn=_METRICS_CONNECTIONS)
        else:
            handle = partial(self.handle, named)
            of_us: dict[str, Any] = {"board": self._board, "place": self.place, "lent": self.lent}
            server = FairServer(listener, handle, spawn=self._connections, **of_us)
        server.start()
        return server

    def _is_for_metrics(self, name: Any) -> bool:
        return self._metrics_address is not None and name[:2] == self._metrics_address

    def _tick(self) -> None:
        """Tell the arbiter that this worker lives, and close idle connections."""
        self.notify()
        self._idle.close(self._patience())
        self._bodies.close(_BODY_SECONDS if self.alive else _LAST_BODY_SECONDS)
        self._glance.tell(self.log)
        self.each_second(self.sockets if self.alive else [])
        gevent.sleep(1.0 if self.alive else 0.1)

    def _patience(self) -> float:
        """How long a connection may be idle: not long if that keeps others out, or the stop."""
        in_the_way = self._connections.full() or not self.alive
        return _LINGER_SECONDS if in_the_way else float(self.cfg.keepalive)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection from its first request to its end."""
        self._board.publish(self.place, len(self._connections))
        try:
            self._converse(listener.getsockname(), client, addr)
        except (NoMoreData, StopIteration):
            pass  # the client ended it, or it is to be closed
        except OSError as error:
            if error.errno not in _GONE:
                tell(error, Record(token_hex(16)))
        except BaseException as error:  # noqa: BLE001 - of this connection alone
            self.handle_error(None, client, addr, error)
        finally:
            client.close()
            self._board.publish(self.place, len(self._connections) - 1)

    def _converse(self, listener_name: Any, client: Any, addr: Any) -> None:
        """One request after the other: gunicorn's loop, less the protocols not spoken here.

        The bytes come before the parser, so that a worker with too much to do can refuse them
        without it.
        """
        parser = get_parser(self.cfg, client, addr)
        self._entrance.join(client)
        while self._first_bytes(client, parser):
            request = None
            with self._idle:
                request = next(parser)
            if request is None:
                return  # it took too long
            request.proxy_protocol_info = {}
            self.handle_request(listener_name, request, client, addr)

    def _first_bytes(self, client: Any, parser: Any) -> bool:
        """Wait for those of a request that is to be parsed; false when no more will come."""
        with self._idle:
            if not parser.finish_body():
                return False
            if parser.unreader.buf.getbuffer().nbytes:
                return True  # they came together with the request before
        while True:
            found: bytes | Refusal = b""
            with self._idle:
                found = self._entrance.wait(client)
            if isinstance(found, bytes):
                break
            if client.send(found.reply) < len(found.reply) or not self._drop(client, found.missing):
                return False
        parser.unreader.unread(found)
        return bool(found)

    def _refusal(self, data: bytes) -> Refusal | None:
        """Why a request is turned away; in a stop each reply closes: the app's own way says so."""
        stays = self.alive and not self._board.stopping
        refusal: Refusal | None = self._glance.refusal(data) if stays else None
        return refusal

    def _drop(self, client: Any, missing: int) -> bool:
        """Read the rest of a refused body; false when it does not come, or too slowly."""
        with suppress(TimeoutError), self._bodies:
            while missing and (piece := client.recv(min(missing, _PIECE))):
                missing -= len(piece)
        return not missing

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
        environ[SEEN] = self._loop.now()
        app = self.wsgi
        if self._is_for_metrics(listener_name):
            app = self.wsgi.extensions["metrics_app"]
        if not self.alive or self._board.stopping:
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

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what is no HTTP, or broke outside the app.

        gunicorn's own version logs and echoes the offending text, which may hold a plate.
        """
        del req, addr
        unparsed.answer(client, exc, self.wsgi, self.log)


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
    return getattr(reader, "length", 0) > WORTH_READING


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
