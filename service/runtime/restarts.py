"""When the master may start the next worker, depending on how earlier ones ended.

A worker that dies is replaced at once, without limit in number. Deaths in quick succession back
off exponentially, so that a crash loop does not keep the machine busy with forks.

If no worker is ready and new ones die before they are, the server gives up, so that its supervisor
can start it elsewhere: after a few attempts if no worker was ever ready, since its settings must be
wrong; otherwise after a minute of attempts, since the cause may pass.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

# Deaths in quick succession that are answered at once, for each configured worker.
_AT_ONCE: Final = 5
_DEATH_PAUSE: Final = 0.1
_FORK_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 10.0
_MOST_DOUBLINGS: Final = 10.0
# Without a death for this long, the succession is over.
_CALM_SECONDS: Final = 30.0
# Failed attempts in a row after which the server gives up, and how long they go on at least if it
# has served.
HOPELESS: Final = 5
HOPELESS_SECONDS: Final = 60.0


class Restarts:
    """The restart policy of one server. All times are in seconds."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self.was_ready = False  # whether any worker ever got ready
        self.failed_boots = 0  # since a worker was ready
        self._failing_since = 0.0
        self._failed_forks = 0
        self._deaths = 0
        self._last_death = self._not_before = 0.0

    @property
    def pause(self) -> float:
        """Seconds until the next worker may be started; 0 if it may be started now."""
        return max(0.0, self._not_before - self._now())

    @property
    def is_hopeless(self) -> bool:
        """Whether no worker is ready, and too many have tried in vain."""
        patience = HOPELESS_SECONDS if self.was_ready else 0.0
        return self.failed_boots >= HOPELESS and self._now() - self._failing_since >= patience

    def ready(self) -> None:
        """Note that a worker is ready."""
        self.was_ready = True
        self.failed_boots = 0

    def forked(self) -> None:
        """Note that a process could be started."""
        self._failed_forks = 0

    def died(self, workers: int, *, booting: bool = True) -> None:
        """Note that a worker died that was not stopped; `workers` is the configured number.

        `booting` is whether it was not ready yet.
        """
        now = self._now()
        if now - max(self._last_death, self._not_before) > _CALM_SECONDS:
            self._deaths = 0
        self._last_death = now
        self._deaths += 1
        if booting:
            self._failing_since = self._failing_since if self.failed_boots else now
            self.failed_boots += 1
        excess = self._deaths / max(1, workers) - _AT_ONCE
        if excess > 0:
            self._back_off(_DEATH_PAUSE, excess)

    def fork_failed(self) -> None:
        """Note that no process could be started."""
        self._back_off(_FORK_PAUSE, self._failed_forks)
        self._failed_forks += 1

    def _back_off(self, first: float, doublings: float) -> None:
        seconds = first * 2 ** min(doublings, _MOST_DOUBLINGS)
        self._not_before = self._now() + min(seconds, _LONGEST_PAUSE)
