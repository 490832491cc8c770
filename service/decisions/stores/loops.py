"""The threads of the sink that keep stores up to the log, one for each store.

A store that is away holds up neither the log nor the other stores: its thread tries again, at
longer and longer intervals.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Final

from service.config.settings import Settings
from service.decisions.log import DecisionLog
from service.decisions.stores.configured import opened_by_name
from service.decisions.stores.exporter import Exporter, lag_behind
from service.decisions.stores.store import AnalysisStore, Position, StoreRefused
from service.telemetry.failures import described
from service.telemetry.metrics.decision_sink import SinkMetrics

_TICK_SECONDS: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
# How often the age of rows is looked at.
_RETAIN_SECONDS: Final = 3_600.0
_STOP_SECONDS: Final = 5.0

log = logging.getLogger("scoring")

Open = Callable[[DecisionLog], AnalysisStore]


class StoreLoops:
    """The threads of all stores that the settings name."""

    def __init__(self, settings: Settings, metrics: SinkMetrics) -> None:
        """Start them. The log must be there."""
        self._stopping = Event()
        self._loops = [
            StoreLoop(name, open_store, settings, metrics, self._stopping)
            for name, open_store in opened_by_name(settings).items()
        ]
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """Have them end, and wait a while for it; what is cut off is sent again."""
        self._stopping.set()
        for loop in self._loops:
            loop.join(_STOP_SECONDS)


class StoreLoop(Thread):
    """Keeps one store up to the log until `stopping` is set."""

    def __init__(
        self,
        name: str,
        open_store: Open,
        settings: Settings,
        metrics: SinkMetrics,
        stopping: Event,
    ) -> None:
        super().__init__(name=f"store {name}", daemon=True)
        self._store = name
        self._open = open_store
        self._settings = settings
        self._metrics = metrics
        self._stopping = stopping
        self._failures = 0
        # Nothing, until the store says how far it is.
        self._position = Position()

    def run(self) -> None:
        """Work until the end."""
        while not self._stopping.is_set():
            try:
                # Of this thread alone: connections to SQLite are not shared.
                with closing(DecisionLog(Path(self._settings.decisions_dir))) as decisions:
                    self._follow(decisions)
            except Exception as error:  # noqa: BLE001 - the log itself can't be read now
                self._count(error)
                self._stopping.wait(_LONGEST_PAUSE)

    def _follow(self, decisions: DecisionLog) -> None:
        """Export until the end, whatever the store does. Raises what the log does."""
        while not self._stopping.is_set():
            try:
                self._work(decisions)
            except Exception as error:  # noqa: BLE001 - of any of three libraries
                self._count(error)
                self._pause(decisions)

    def _work(self, decisions: DecisionLog) -> None:
        """Export until the end. Raises what the store does."""
        with closing(self._open(decisions)) as store:
            exporter, retained = Exporter(decisions, store), -_RETAIN_SECONDS
            while not self._stopping.is_set():
                if monotonic() - retained >= _RETAIN_SECONDS:
                    store.retain(self._settings.decisions_days)
                    retained = monotonic()
                sent = exporter.step()
                self._recovers()
                self._position = exporter.known
                self._metrics.sent(self._store, sent.rows, sent.removals)
                self._metrics.lags(self._store, *lag_behind(decisions, self._position))
                if sent.is_all:
                    self._stopping.wait(_TICK_SECONDS)

    def _recovers(self) -> None:
        if self._failures:
            log.info("The store %s takes decisions again", self._store)
        self._failures = 0

    def _count(self, error: Exception) -> None:
        """Count a failure, and log the first of several."""
        self._metrics.failed(self._store)
        self._failures += 1
        if self._failures == 1:
            reason = error if isinstance(error, StoreRefused) else described(error)
            log.error("The store %s takes no decisions: %s", self._store, reason)

    def _pause(self, decisions: DecisionLog) -> None:
        """Wait, the longer the more often it failed, and state the lag meanwhile."""
        pause = min(_TICK_SECONDS * 2 ** min(self._failures, 10), _LONGEST_PAUSE)
        until = monotonic() + pause
        while monotonic() < until and not self._stopping.wait(_TICK_SECONDS):
            self._metrics.lags(self._store, *lag_behind(decisions, self._position))
