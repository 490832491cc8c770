"""The proxy in front: whether it lets go of idle connections before the service does.

The service's own is the package `service.edge`, where it is installed; another proxy is taken
to be an nginx with its defaults.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from service.doctor.finding import Finding, fail, ok, warn
from service.settings import Settings

_PACKAGE: Final = "service.edge"
# nginx's `keepalive_timeout` of an upstream, in seconds, where the edge has no setting for it.
UPSTREAM_KEEPALIVE: Final = 60


def edge(settings: Settings, dotenv: Path, package: str = _PACKAGE) -> Iterator[Finding]:
    """The edge's settings beside the service's."""
    found: Any = None
    if find_spec(package):
        module = import_module(f"{package}.settings")
        try:
            found = module.load(dotenv=dotenv)
        except module.SettingsError as error:
            yield fail("edge", str(error), "see EDGE_ in .env.example; unset it to go without")
            return
    yield from keepalive(settings, getattr(found, "upstream_keepalive", UPSTREAM_KEEPALIVE))
    if found is not None:
        yield from largest_body(settings, found.max_body)


def keepalive(settings: Settings, idle: int) -> Iterator[Finding]:
    """Who closes an idle connection first: if it is the service, a request may just be coming."""
    shown = f"kept {settings.keepalive} s here, {idle} s by the proxy in front"
    if settings.keepalive <= idle:
        mend = f"SCORING_KEEPALIVE={idle + 15}: else its clients see a 502 now and then"
        yield warn("keep-alive", shown, mend)
    else:
        yield ok("keep-alive", shown)


def largest_body(settings: Settings, allowed: int) -> Iterator[Finding]:
    """Whether the edge lets pass what the service takes."""
    if allowed < settings.max_array_body:
        found = (
            f"the edge lets {allowed:,} bytes pass, the service takes {settings.max_array_body:,}"
        )
        yield warn("edge bodies", found, f"EDGE_MAX_BODY={settings.max_array_body}")
    else:
        yield ok("edge bodies", f"up to {allowed:,} bytes pass the edge")
