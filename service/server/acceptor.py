"""Which worker accepts a new connection: the one that has the fewest.

All workers listen on one socket and wake at once. The first would accept all that wait, and
clients keep connections: one worker would serve them for hours while another idles. A socket for
each worker (SO_REUSEPORT) would spread them, but drop those that wait when a worker ends, and let
two servers share a port unnoticed.
"""

import ctypes
import socket
import struct
from asyncio import AbstractEventLoop, CancelledError, Task, TimerHandle
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Final

from service.runtime.scoreboard import Scoreboard
from service.server.connection import Connection
from service.server.site import Site

# A worker that has more connections than another leaves new ones to it. It checks again at this
# interval, this many times: the other may be busy with a batch, or hang.
_LOOK_SECONDS: Final = 0.001
_LOOKS: Final = 10
# Accepted at once before others are served.
_AT_ONCE: Final = 16
# The pause when no more can be accepted, for lack of places or files; and how long a connection
# must have been idle to be evicted then.
_PAUSE_SECONDS: Final = 0.05
IDLE_SECONDS: Final = 1.0
# What the kernel keeps of a connection's unread bytes, and so what is read at a time: with the
# usual megabytes, the bodies of a hundred clients occupy an iteration for tens of milliseconds.
_UNREAD_BYTES: Final = 64 * 1024
_SO_ATTACH_FILTER: Final = 26  # Linux; Python has no name for it
# A packet filter (man 7 socket, "classic" BPF) that drops what begins a connection and lets
# pass what completes one: load the TCP flags; is SYN among them? then keep nothing; else all.
_NO_SYN: Final = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


class Acceptor:
    """Accepts at one listening socket, up to `places` connections at a time."""

    def __init__(
        self, loop: AbstractEventLoop, listener: socket.socket, site: Site, places: int
    ) -> None:
        self.listener = listener
        self.site = site
        self._loop = loop
        self._places = places
        self._timer: TimerHandle | None = None
        self._joining: set[Task[object]] = set()
        listener.setblocking(False)  # noqa: FBT003
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)

    @property
    def connections(self) -> int:
        """Those that are open, and those that are just being accepted."""
        return len(self.site.connections) + len(self._joining)

    @property
    def is_full(self) -> bool:
        """Whether all places are taken."""
        return self.connections >= self._places

    def publish(self) -> None:
        """Publish the number of open connections to other workers; nothing here."""

    def start(self) -> None:
        """Accept from now on."""
        self._loop.add_reader(self.listener, self._accept)

    def close(self) -> None:
        """Accept no more, and close the socket."""
        self._pause(None)
        self.listener.close()

    def _accept(self) -> None:
        for number in range(_AT_ONCE):
            if not self._takes_next():
                return
            if self.is_full:
                if number == 0:  # later, the queue may be empty: the next event shows it
                    self._make_room()
                return
            if not self.accept_one():
                return

    def _takes_next(self) -> bool:
        """Whether this worker accepts the next connection; if not, it checks again by itself."""
        return True

    def _make_room(self) -> None:
        """Evict idle connections, and try again soon.

        Probes and waiting callers matter more than silent connections.
        """
        made = self.site.evict(monotonic() - IDLE_SECONDS)
        self._pause(_LOOK_SECONDS if made else _PAUSE_SECONDS)

    def accept_one(self) -> bool:
        """Accept a connection, if one waits."""
        try:
            client, _ = self.listener.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return False
        except OSError:  # too many open files, or no memory
            self._make_room()
            return False
        client.setblocking(False)  # noqa: FBT003
        joining = self._loop.create_task(
            self._loop.connect_accepted_socket(partial(Connection, self.site), client)
        )
        self._joining.add(joining)
        joining.add_done_callback(self._joined)
        return True

    def _joined(self, joining: "Task[object]") -> None:
        self._joining.discard(joining)
        with suppress(OSError, CancelledError):  # cancelled when the loop ends meanwhile
            joining.result()

    def _pause(self, seconds: float | None) -> None:
        """Look at the socket again in so many seconds, or never."""
        self._loop.remove_reader(self.listener)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self.start) if seconds is not None else None


class FairAcceptor(Acceptor):
    """Accepts while this worker has about as few connections as any other."""

    def __init__(self, *arguments: Any, scoreboard: Scoreboard, own: int, lent: bool) -> None:
        """`own` is this worker's place on the scoreboard.

        `lent` is whether the listening socket stays open elsewhere, as systemd's does.
        """
        super().__init__(*arguments)
        self._scoreboard = scoreboard
        self._own = own
        self._lent = lent
        self._looks = 0

    def publish(self) -> None:
        """Publish the number of open connections to the other workers."""
        self._scoreboard.publish(self._own, self.connections)

    def close(self) -> None:
        """Stop listening. The last worker of a stop first accepts all waiting connections.

        The kernel resets connections that wait to be accepted when the last listener closes. A
        lent socket has other listeners: its next user must not find it filtered.
        """
        if self._is_the_last():
            _deafen(self.listener)
            while not self.is_full and self.accept_one():
                pass
        super().close()

    def _takes_next(self) -> bool:
        if self._looks < _LOOKS and self._is_crowded():
            self._looks += 1
            self._pause(_LOOK_SECONDS)
            return False
        self._looks = 0
        return True

    def accept_one(self) -> bool:
        """Accept a connection, if one waits, and publish the number at once."""
        accepted = super().accept_one()
        self.publish()
        return accepted

    def _is_the_last(self) -> bool:
        alone = self._scoreboard.stopping and self._scoreboard.least(self._own) is None
        return alone and not self._lent

    def _is_crowded(self) -> bool:
        least = self._scoreboard.least(self._own)
        # One or a tenth more does not matter, and lets a burst in faster.
        return least is not None and self.connections > least + 1 + least // 10


def _deafen(listener: socket.socket) -> None:
    """Drop new SYN packets: their clients retry, and are refused once the socket is closed."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _NO_SYN))
    steps = struct.pack("@HP", len(_NO_SYN), ctypes.addressof(program))
    with suppress(OSError):  # without it, connections of the next microseconds are reset
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, steps)
