"""Where connections wait for their next request, and most are turned away under overload.

One watch for all of them, not one of each: a turn of the event loop then looks at every request
that came, and a refusal costs two system calls and no change of greenlets.
"""

import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub, getcurrent

from service.idle import IdleConnections
from service.shedding import Refusal

if TYPE_CHECKING:
    from greenlet import greenlet

_PIECE: Final = 64 * 1024
_READ: Final = 1
# Told once for what has come, not again and again while its greenlet is busy with it.
_EVENTS: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET


class Entrance:
    """One for all connections of a worker."""

    def __init__(self, refusal: Callable[[bytes], Refusal | None], idle: IdleConnections) -> None:
        """`refusal` judges the first bytes of a request; `idle` knows who waits since when."""
        self._refusal = refusal
        self._idle = idle
        self._epoll = select.epoll()
        self._waiting: dict[int, tuple[greenlet, Any]] = {}
        self._watch = get_hub().loop.io(self._epoll.fileno(), _READ)
        self._watch.start(self._look)

    def join(self, client: Any) -> None:
        """A new connection; it leaves by being closed."""
        self._epoll.register(client.fileno(), _EVENTS)

    def wait(self, client: Any) -> bytes | Refusal:
        """The first bytes of the next request that is let in, b"" when none will come.

        A refusal if its body is still to come: that is to be sent, and the body read.
        """
        found = self._received(client._sock)  # noqa: SLF001 - gevent's own would wait
        if found is not None:
            return found
        key = client.fileno()
        self._waiting[key] = getcurrent(), client._sock  # noqa: SLF001 - as above
        try:
            taken: bytes | Refusal = get_hub().switch()
        finally:
            self._waiting.pop(key, None)
        return taken

    def _look(self) -> None:
        for key, _ in self._epoll.poll(0):
            waiter, sock = self._waiting.get(key, (None, None))
            if waiter is None:
                continue
            found = self._received(sock)
            if found is None:
                self._idle.touch(waiter)
            else:
                waiter.switch(found)

    def _received(self, sock: Any) -> bytes | Refusal | None:
        """What is there; None if nothing is, or it was turned away."""
        try:
            data: bytes = sock.recv(_PIECE)
        except BlockingIOError:
            return None
        except OSError:  # its client has gone
            return b""
        refusal = self._refusal(data) if data else None
        if refusal is None or refusal.missing:
            return refusal or data
        # A client that reads nothing gets no more.
        return None if _sent(sock, refusal.reply) else b""


def _sent(sock: Any, reply: bytes) -> bool:
    try:
        return bool(sock.send(reply) == len(reply))
    except OSError:  # it has gone, or does not read
        return False
