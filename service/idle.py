"""Ending connections that are kept alive for nothing."""

from time import monotonic
from types import TracebackType
from typing import Any, Literal

import gevent


class _IdleTooLong(BaseException):
    """Thrown into a connection's greenlet to end its wait for a next request."""


class IdleConnections:
    """The connections that wait for something of their client, and since when.

    One object for all connections, entered at each wait: two dictionary operations, where
    a timer for each wait costs several microseconds of every request.
    """

    def __init__(self) -> None:
        self._since: dict[Any, float] = {}

    def __enter__(self) -> None:
        """The calling greenlet's connection begins to wait."""
        self._since[gevent.getcurrent()] = monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Its request is here, or its wait was ended: the latter is no error."""
        self._since.pop(gevent.getcurrent(), None)
        return kind is _IdleTooLong

    def touch(self, connection: Any) -> None:
        """A connection's client has shown that it is there."""
        if connection in self._since:
            self._since[connection] = monotonic()

    def close(self, idle_seconds: float) -> None:
        """End the connections that have been idle for so long."""
        limit = monotonic() - idle_seconds
        for connection, since in list(self._since.items()):
            if since <= limit:
                connection.kill(_IdleTooLong, block=False)


class UnfinishedBodies(IdleConnections):
    """The connections that wait for the rest of a body; a wait that is ended is a TimeoutError."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        """The body is here, or it took too long."""
        if super().__exit__(kind, error, trace):
            raise TimeoutError
        return False
