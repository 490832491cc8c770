"""How reports go to Sentry. Imports the SDK; only `error_reports` imports this, with a DSN."""

from collections.abc import Callable
from typing import Any

from sentry_sdk import Client
from sentry_sdk.transport import HttpTransport

from service.config.settings import Settings
from service.telemetry.sentry_event import KEYS


def client_of(settings: Settings, count: Callable[[str], None]) -> Client:
    """A client of its own, not `init`: no global scope gathers breadcrumbs or patches libraries.

    `count` is called with "sent" or "dropped" for each event, by the thread that sends.
    """
    return Client(
        dsn=settings.sentry_dsn,
        release=settings.version,
        environment=settings.environment,
        transport=_counting(count),
        before_send=_only_what_is_allowed,
        # Nothing by itself: no integrations, no looking around, no other telemetry.
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        server_name="",
        auto_session_tracking=False,
        enable_backpressure_handling=False,
        send_client_reports=False,
        spotlight=False,
        debug=False,
        # A level means gzip; without one it is Brotli where that happens to be installed, which
        # not every receiver reads.
        _experiments={"transport_compression_level": 9},
    )


def _counting(count: Callable[[str], None]) -> type[HttpTransport]:
    """The SDK's transport, which counts the outcome of each event."""

    class Counting(HttpTransport):
        def on_dropped_event(self, _reason: str) -> None:
            count("dropped")

        def _handle_response(self, response: Any, envelope: Any) -> None:
            super()._handle_response(response, envelope)
            if 200 <= response.status < 300:
                count("sent")

    return Counting


def _only_what_is_allowed(event: Any, hint: object) -> Any:
    """Drop what the SDK adds of itself, now or in a later version."""
    del hint
    return {key: event[key] for key in KEYS if key in event}
