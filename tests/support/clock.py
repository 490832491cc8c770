"""A clock that stops while the machine does: on a shared one, nobody runs for a second at times."""

import time
from functools import cache
from threading import Lock, Thread
from typing import Final

_TICK: Final = 0.01
# Whoever only wants a processor that is busy gets it sooner.
_NOTICED: Final = 0.05


def awake() -> float:
    """Seconds, as of `time.monotonic`, without those in which not even a sleeper woke up."""
    return _standstills().awake()


class Standstills:
    """Looks at the clock all the time; what lies between two looks it has missed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._looked_at = time.monotonic()
        self._missed = 0.0

    def awake(self) -> float:
        """The time, less what was missed of it."""
        with self._lock:
            now = time.monotonic()
            between = now - self._looked_at
            if between > _NOTICED:
                self._missed += between - _TICK
            self._looked_at = now
            return now - self._missed

    def look(self) -> None:
        """For ever."""
        while True:
            time.sleep(_TICK)
            self.awake()


@cache
def _standstills() -> Standstills:
    standstills = Standstills()
    Thread(target=standstills.look, daemon=True).start()
    return standstills
