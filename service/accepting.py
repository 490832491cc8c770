"""Who takes a new connection: the worker that has the fewest.

All workers listen on one socket and wake at once. Whoever is first would take all that
wait, and clients keep connections: one worker would serve them for hours while another
idles. A socket for each worker (SO_REUSEPORT) would spread them, but drop those that wait
when a worker ends, and let two servers share a port unnoticed.
"""

import ctypes
import socket
import struct
from contextlib import suppress
from typing import Any, Final

from gevent.server import StreamServer

from service.board import Board

# A worker that has more connections than another leaves new ones to it, and looks again so
# often, for so long: the other may be in the middle of a batch, or ill.
_LOOK_SECONDS: Final = 0.001
_LOOKS: Final = 10
_SO_ATTACH_FILTER: Final = 26  # Linux; Python has no name for it
# A packet filter (man 7 socket, "classic" BPF) that drops what begins a connection and lets
# pass what completes one: load the TCP flags; is SYN among them? then keep nothing; else all.
_NO_SYN: Final = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


class FairServer(StreamServer):
    """Accepts while this worker has about as few connections as any other."""

    def __init__(self, *args: Any, board: Board, place: int, lent: bool, **kwargs: Any) -> None:
        """`lent` is whether the listening socket stays open elsewhere, as systemd's does."""
        super().__init__(*args, **kwargs)
        self._lent = lent
        self._board = board
        self._place = place
        self._looks = 0

    def do_read(self) -> Any:
        """The next connection, or None to leave it to another worker for now."""
        mine = len(self.pool) if self.pool is not None else 0
        if self._looks < _LOOKS and self._is_crowded(mine):
            self._looks += 1
            self._pause()
            return None
        self._looks = 0
        self._board.publish(self._place, mine + 1)
        return super().do_read()

    def close(self) -> None:
        """Listen no more. The last to go in a stop takes all who have connected by then.

        The kernel resets what waits to be accepted when the last listener closes. What is lent
        has others: whoever is lent it next answers, and must not find it deaf.
        """
        if not self.closed and self._is_the_last():
            _deafen(self.socket)
            with suppress(OSError):  # no more open files: the others can't be helped
                while not self.full() and (connection := self.do_read()):
                    self.do_handle(*connection)
        super().close()

    def _is_the_last(self) -> bool:
        alone = self._board.stopping and self._board.least(self._place) is None
        return alone and not self._lent

    def _is_crowded(self, mine: int) -> bool:
        least = self._board.least(self._place)
        # One or a tenth more is no matter, and lets a burst in faster.
        return least is not None and mine > least + 1 + least // 10

    def _pause(self) -> None:
        self.stop_accepting()
        self._timer = self.loop.timer(_LOOK_SECONDS)
        self._timer.start(self._look_again)

    def _look_again(self) -> None:
        if self.started:
            self.start_accepting()


def _deafen(listener: Any) -> None:
    """Let nobody begin to connect: who tries now tries again, and is refused once it is closed."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _NO_SYN))
    steps = struct.pack("@HP", len(_NO_SYN), ctypes.addressof(program))
    with suppress(OSError):  # without it, who comes within the next microseconds is reset
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, steps)
