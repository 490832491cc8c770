"""The gunicorn worker: gevent's, without monkey-patching."""

from typing import Any

from gevent import socket
from gunicorn.workers.ggevent import GeventWorker


class ScoringWorker(GeventWorker):  # type: ignore[misc]
    """One greenlet for each connection, one operating-system thread for all of them."""

    def patch(self) -> None:
        """Turn the listening sockets into gevent's, and patch nothing else.

        The app waits for nothing but its client, so the standard library can stay as it
        is: locks and threads of libraries then mean what they say.
        """
        self.sockets: list[Any] = [
            socket.socket(s.FAMILY, socket.SOCK_STREAM, fileno=s.sock.detach())
            for s in self.sockets
        ]
