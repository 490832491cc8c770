"""The gunicorn worker of the web processes: threads, and patience with slow clients that ends.

gunicorn's own thread worker waits without end for a head, a body, or a client that does not read,
and each wait holds one of its threads.
"""

import errno
import socket
from contextlib import suppress
from http import HTTPStatus
from queue import SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from gunicorn.http import errors as faults
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from service.http import reply
from service.http.request_ids import new_id
from service.runtime import runtime
from service.telemetry.failures import contained, log_failure
from service.telemetry.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

# How long a client may keep a thread waiting for its bytes, and the rate in bytes a second that it
# must hold beyond that.
_READ_SECONDS: Final = 10.0
_LEAST_RATE: Final = 16 * 1024
_LEAST_WAIT: Final = 0.001
# How long it may take nothing of a reply.
_SEND_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 1.0
_STATUSES: Final[dict[type[Exception], int]] = {
    faults.LimitRequestLine: 414,
    faults.LimitRequestHeaders: 431,
    faults.ExpectationFailed: 417,
    faults.UnsupportedTransferCoding: 501,
}
_NO_CONNECTION: Final = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK)


class SlowClient(ConnectionResetError):
    """A client did not send what it began in time. gunicorn closes its connection silently."""


class WebWorker(ThreadWorker):  # type: ignore[misc]
    """Serves the app by threads. `place` is its place on the scoreboard, taken before the fork."""

    def __init__(
        self, *args: Any, early_signals: "SimpleQueue[int] | None" = None, **_others: Any
    ) -> None:
        """`early_signals` are those that came before this worker had handlers of its own."""
        super().__init__(*args)
        self.place = runtime().scoreboard.take()
        self.early_signals = early_signals or SimpleQueue()
        self.publish: Callable[[list[Any], int], None] = lambda *_: None
        self._observe: Callable[[list[Record]], None] = lambda _: None
        self._ends = Event()

    def prepare(
        self, observe: "Callable[[list[Record]], None]", publish: "Callable[[list[Any], int], None]"
    ) -> None:
        """Set what the worker does for its app in addition to serving.

        `observe` gets the records of requests that can't be read. A thread of its own calls
        `publish` once a second, with the listening sockets and the number of connections whose
        requests are being answered.
        """
        self._observe, self.publish = observe, publish

    def run(self) -> None:
        """Serve until a signal stops the worker."""
        sockets = [listener.sock for listener in self.sockets]
        ticking = Thread(target=self._tick, args=(sockets,), name="each-second", daemon=True)
        ticking.start()
        try:
            super().run()
        finally:
            self._ends.set()
            ticking.join()

    def _tick(self, sockets: list[Any]) -> None:
        while not self._ends.wait(_TICK_SECONDS):
            idle = len(self.keepalived_conns) + len(self.pending_conns)
            self.publish(sockets, self.nr_conns - idle)

    def accept(self, listener: Any) -> None:
        """Take a new connection, and let a thread wait for its first request."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in _NO_CONNECTION:
                raise
            return
        self.nr_conns += 1
        self.enqueue_req(_Connection(self.cfg, client, address, listener.getsockname()))

    def handle(self, conn: "_Connection") -> Any:
        """Answer a request of a connection, in a thread."""
        conn.waited, conn.came = 0.0, 0
        return super().handle(conn)

    def handle_request(self, req: Any, conn: "_Connection") -> Any:
        """Have the app answer."""
        conn.sock.settimeout(_SEND_SECONDS)
        try:
            return super().handle_request(req, conn)
        except TimeoutError as error:
            raise SlowClient(errno.ECONNRESET, "the client does not read") from error

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that can't be read, in the envelope; an error of ours is logged."""
        del req, addr
        record = Record(new_id(), route="unmatched", status=_STATUSES.get(type(exc), 400))
        text = HTTPStatus(record.status).phrase.lower()
        if not isinstance(exc, faults.ParseException):
            log_failure("a connection", exc)
            record.status, text = 500, f"internal error, request {record.replied_id}"
        contained("requests", self._observe, [record])
        refused = reply.fail(record.status, text)
        refused.add("X-Request-Id", record.replied_id)
        refused.add("Connection", "close")
        _write(client, refused)


class _Connection(TConn):  # type: ignore[misc]
    """A connection. Its client has kept a thread waiting `waited` seconds for `came` bytes."""

    waited = 0.0
    came = 0

    def init(self) -> None:
        """Prepare for the first request."""
        if not self.initialized:
            super().init()
            self.parser.unreader = _PatientUnreader(self)


class _PatientUnreader(SocketUnreader):  # type: ignore[misc]
    """Reads from a client as long as it keeps to the least rate."""

    def __init__(self, conn: _Connection) -> None:
        super().__init__(conn.sock)
        self._conn = conn

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes. Raises SlowClient."""
        conn, began = self._conn, monotonic()
        left = _READ_SECONDS + conn.came / _LEAST_RATE - conn.waited
        conn.sock.settimeout(max(_LEAST_WAIT, left))
        try:
            data: bytes = super().chunk(size_hint)
        except TimeoutError as error:
            raise SlowClient(errno.ECONNRESET, "the client does not send") from error
        finally:
            conn.waited += monotonic() - began
            conn.sock.settimeout(_SEND_SECONDS)
        conn.came += len(data)
        return data


def _write(client: socket.socket, response: reply.Reply) -> None:
    """Write a reply to a client whose request no app has seen; one that has gone gets none."""
    line = f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n"
    with suppress(OSError):
        client.sendall(line.encode() + response.fields + b"\r\n" + response.body)
