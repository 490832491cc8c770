"""Lookups in the cache of results: how many of them spared the work."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter

_RESULTS: Final = ("hit", "miss", "error")


class CacheMetrics:
    """Counts lookups by what they are for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "scoring_cache_requests",
            "Lookups in the cache: rows to explain, or jobs. error: Redis did not answer in time, "
            "or its value was not what had been put there; the work was done as after a miss.",
            ("cache", "result"),
            registry=registry,
        )

    def of(self, cache: str) -> Callable[[str, int], None]:
        """What counts lookups by their result and number; the series begin at 0."""
        results = {result: self._requests.labels(cache, result) for result in _RESULTS}
        return lambda result, number: results[result].inc(number)
