"""A cache of results that take long to compute: what it does, and how a process opens one.

The service has such a cache (`service.cache`); this package has none.
"""

from collections.abc import Callable, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, NamedTuple, Protocol


class Lookup(NamedTuple):
    """What a cache has for some requests: values in their order, None where it has none.

    `counts` has the number of requests for each of the results "hit", "miss" and "error".
    """

    values: Sequence[bytes | None]
    counts: Mapping[str, int]


class Cache(Protocol):
    """Values by requests. It may lose any of them; neither method raises, or takes long."""

    def get(self, requests: Sequence[bytes], /) -> Lookup:
        """Return the values of requests."""

    def put(self, values: Mapping[bytes, bytes], /) -> None:
        """Keep the values of requests."""


class CacheOpener(NamedTuple):
    """How another process opens a cache: `function` is "module:name", called with `arguments`.

    The process that sends it imports neither the function nor what it needs.
    """

    function: str
    arguments: tuple[Any, ...]

    def open(self) -> Cache:
        """Open the cache in this process."""
        cache: Cache = resolve_name(self.function)(*self.arguments)
        return cache


class ExplanationCache(NamedTuple):
    """The cache of a process that explains, and what counts its lookups in the process it serves.

    `observe` is called with "hit", "miss" or "error" and a number of rows.
    """

    opener: CacheOpener
    observe: Callable[[str, int], None]
