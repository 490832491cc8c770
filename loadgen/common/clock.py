"""A clock without the machine's standstills: on a shared machine no process runs for seconds."""

import time
from functools import cache
from threading import Lock, Thread
from typing import Final

_TICK: Final = 0.01
# A busy processor wakes a sleeper sooner than this.
_STANDSTILL: Final = 0.05


def awake() -> float:
    """Seconds as of `time.monotonic`, less the standstills."""
    return _standstills().awake()


class Standstills:
    """Finds the gaps between two readings of the clock that are longer than a tick."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._read_at = time.monotonic()
        self._missed = 0.0

    def awake(self) -> float:
        """The time less all standstills so far."""
        with self._lock:
            now = time.monotonic()
            between = now - self._read_at
            if between > _STANDSTILL:
                self._missed += between - _TICK
            self._read_at = now
            return now - self._missed

    def watch(self) -> None:
        """Read the clock every tick, without end."""
        while True:
            time.sleep(_TICK)
            self.awake()


@cache
def _standstills() -> Standstills:
    standstills = Standstills()
    Thread(target=standstills.watch, daemon=True).start()
    return standstills
