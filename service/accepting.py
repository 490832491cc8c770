"""Who takes a new connection: the worker that has the fewest.

All workers listen on one socket and wake at once. Whoever is first would take all that
wait, and clients keep connections: one worker would serve them for hours while another
idles. A socket for each worker (SO_REUSEPORT) would spread them, but drop those that wait
when a worker ends, and let two servers share a port unnoticed.
"""

from typing import Any, Final

from gevent.server import StreamServer

from service.board import Board

# How long a worker that has more than another leaves a new connection to it. The other may
# be in the middle of a batch; after this one connection is taken all the same.
_PATIENCE_SECONDS: Final = 0.005


class FairServer(StreamServer):
    """Accepts while this worker has about as few connections as any other."""

    def __init__(self, *args: Any, board: Board, place: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._board = board
        self._place = place
        self._patient = True

    def do_read(self) -> Any:
        """The next connection, or None to leave it to another worker for now."""
        if self._patient and self._is_crowded():
            self._patient = False
            self.stop_accepting()
            self._timer = self.loop.timer(_PATIENCE_SECONDS)
            self._timer.start(self._look_again)
            return None
        self._patient = True
        return super().do_read()

    def _look_again(self) -> None:
        if self.started:
            self.start_accepting()

    def _is_crowded(self) -> bool:
        least = self._board.least(self._place)
        mine = len(self.pool) if self.pool is not None else 0
        # A tenth more is no matter, and lets a burst in faster.
        return least is not None and mine > least + least // 10
