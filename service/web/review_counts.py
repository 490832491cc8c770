"""The state of the review queue as metrics, read now and then."""

from pathlib import Path
from time import monotonic, time
from typing import Final

from service.config.settings import Settings
from service.decisions.log import DecisionLog
from service.decisions.review import ReviewQueue
from service.telemetry.metrics.review import ReviewMetrics

# What has come into the log since is taken in at the same time.
_LOOK_SECONDS: Final = 10.0


class ReviewCounts:
    """Publishes how many decisions wait for reviewers, and for how long."""

    def __init__(self, settings: Settings, metrics: ReviewMetrics) -> None:
        self._folder = Path(settings.decisions_dir)
        self._metrics = metrics
        self._next_look = 0.0

    def publish(self) -> None:
        """Look again if it is time, and there is a log. Raises OSError and sqlite3.Error."""
        if monotonic() < self._next_look or not (self._folder / "log.sqlite").exists():
            return
        self._next_look = monotonic() + _LOOK_SECONDS
        log = DecisionLog(self._folder)
        try:
            self._look(log)
        finally:
            log.close()

    def _look(self, log: DecisionLog) -> None:
        queue = ReviewQueue(log)
        try:
            until = monotonic() + 1
            while queue.take_in() and monotonic() < until:
                pass
            found = queue.figures()
        finally:
            queue.close()
        age = time() - found.oldest if found.oldest else 0.0
        self._metrics.publish(found.waiting, found.again, age)
