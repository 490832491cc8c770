"""Webhooks: whether their endpoints can be read, and have addresses that may be called."""

from collections.abc import Iterator

from service.config.settings import Settings, SettingsError
from service.doctor.finding import Finding, fail, ok, warn
from service.jobs.webhooks import endpoints_of
from service.outbound import request
from service.outbound.addresses import NotAllowed


def webhooks(settings: Settings) -> Iterator[Finding]:
    """What is true of the endpoints, if a file of them is set. No message is sent."""
    if not settings.webhooks_file:
        return
    try:
        endpoints = endpoints_of(settings)
    except SettingsError as error:
        state = f"{error}: web processes do not start"
        yield fail("webhooks", state, "a line is: KEY_NAME NAME URL SECRET…")
        return
    if not (known := endpoints.all()):
        state = f"{settings.webhooks_file} has no endpoint: no job can name one"
        yield warn("webhooks", state, "add a line: KEY_NAME NAME URL SECRET…")
    for endpoint in known:
        name = f"{endpoint.name} of {endpoint.owner}"
        try:
            request.judged(request.check(endpoint.url, endpoints.allowed), endpoints.allowed)
        except NotAllowed as reason:
            remedy = (
                "correct its URL; SCORING_WEBHOOK_ALLOWED_HOSTS names hosts that may be private"
            )
            yield warn("webhooks", f"{name}: {reason}; nothing is sent there", remedy)
        else:
            yield ok("webhooks", f"{name} has an address that may be called")
