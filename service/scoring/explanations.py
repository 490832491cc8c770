"""Explanations: one at a time in each worker, and only while no row has to wait for its score."""

import logging
from collections.abc import Sequence
from threading import Lock, Timer
from time import monotonic
from typing import Any, Final

from model import ExplainerGone, NotExplained, Unexplainable
from model.cache import CacheOpener, ExplanationCache
from model.scorer import Explainer, Row, Scorer
from service.config.settings import Settings
from service.overload.admission import EXPLAIN, Admission
from service.telemetry.metrics import Metrics

# Waiting included. A row takes tens of milliseconds where the machine is not in demand.
LONGEST_SECONDS: Final = 10.0
# Its process takes as much memory as a worker, and a second to start.
_IDLE_SECONDS: Final = 60.0
# By its name: scoring processes import no client of Redis.
_CACHE: Final = "service.cache.redis_cache:RedisCache"

log = logging.getLogger("scoring")


class Explaining:
    """Keeps the process that makes explanations; called by threads, not by the event loop."""

    def __init__(self, admission: Admission, cache: ExplanationCache | None = None) -> None:
        """`cache` is for its process."""
        self._admission = admission
        self._cache = cache
        self._lock = Lock()
        self._scorer: Scorer | None = None
        self._explainer: Explainer | None = None
        self._idle: Timer | None = None

    def check(self, scorer: Scorer) -> None:
        """Raise Overloaded while rows wait for their scores.

        Raises Unexplainable for a model whose scores can't be explained.
        """
        if scorer.unexplained:
            raise Unexplainable(scorer.unexplained)
        if self._admission.crowded:
            raise self._admission.overloaded(EXPLAIN)

    def explained(self, scorer: Scorer, rows: Sequence[Row], latest: float) -> Sequence[Any]:
        """The rows' explanations, by a moment of `monotonic`.

        Raises Overloaded, Unexplainable, ExplainerGone or NotExplained.
        """
        if not self._lock.acquire(timeout=max(0.0, latest - monotonic())):
            raise self._admission.overloaded(EXPLAIN)
        try:
            self.check(scorer)  # there may be more to do now than when the request came
            return scorer.explained(rows, self._explainer_of(scorer), latest - monotonic())
        except ExplainerGone as reason:
            log.warning("An explanation could not be made: %s", reason)
            raise
        except NotExplained as fault:
            if fault.in_time:
                raise
            raise self._admission.overloaded(EXPLAIN) from fault
        finally:
            self._end_when_idle()
            self._lock.release()

    def _explainer_of(self, scorer: Scorer) -> Explainer:
        if self._explainer is None or scorer is not self._scorer:
            self._end()
            self._scorer, self._explainer = scorer, scorer.explainer(self._cache)
        return self._explainer

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = Timer(_IDLE_SECONDS, self._end_idle)
        self._idle.daemon = True
        try:
            self._idle.start()
        except RuntimeError:  # no thread is left: give the process's memory back at once
            self._idle = None
            self._end()

    def _end_idle(self) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        explainer, self._explainer, self._scorer = self._explainer, None, None
        if explainer is not None:
            explainer.close()


def explanation_cache(settings: Settings, metrics: Metrics) -> ExplanationCache | None:
    """The cache of the settings, for processes that explain; None unless one is set."""
    if not settings.cache:
        return None
    arguments = settings.cache, settings.cache_secret, settings.cache_seconds
    return ExplanationCache(CacheOpener(_CACHE, arguments), metrics.cache.of("explanations"))
