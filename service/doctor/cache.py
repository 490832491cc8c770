"""The cache of results: whether its Redis can be reached, and gives way when it is full."""

from collections.abc import Iterator

from service.config.settings import Settings
from service.doctor.finding import Finding, ok, warn
from service.doctor.jobs import without_password

_COMPUTED = "everything is computed as after a miss"


def cache(settings: Settings) -> Iterator[Finding]:
    """What is true of the cache, if one is set. It never fails: the service goes on without it."""
    if not settings.cache:
        return
    # The settings have made sure that the extra is installed.
    from service.jobs.inspection import (  # noqa: PLC0415
        Refused,
        Unreachable,
        records_server,
    )

    where = without_password(settings.cache)
    try:
        server = records_server(settings.cache)
    except Refused as reason:
        state = f"{where} refuses this user ({reason}): {_COMPUTED}"
        yield warn("cache", state, "correct user and password in SCORING_CACHE")
        return
    except Unreachable as reason:
        state = f"{where} can't be reached ({reason}): {_COMPUTED}"
        yield warn("cache", state, "start it, or correct SCORING_CACHE")
        return
    remedy = "set maxmemory, and maxmemory-policy allkeys-lru"
    if not server.limit:
        yield warn("cache", f"{where} has no limit of memory", remedy)
    elif server.eviction == "noeviction":
        yield warn("cache", f"{where} evicts nothing: when it is full, nothing is kept", remedy)
    else:
        yield ok("cache", f"{where}; {server.eviction}")
