"""OpenTelemetry traces, an extra: off by default, and then nothing of it is imported.

Off, nothing is on a request's way: `spans` is None.
"""

from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING, Final

from service.config.settings import Settings, SettingsError, variable

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from service.telemetry.spans import Spans

_FLUSH_SECONDS: Final = 2.0
# How its packages are installed.
INSTALL: Final = "pip install 'plate-scoring[traces]'"


class Traces:
    """The worker's exporter of spans: closed until `start`, and for ever without a collector."""

    def __init__(self) -> None:
        self.spans: Spans | None = None
        self._provider: TracerProvider | None = None

    def preload(self, settings: Settings) -> None:
        """Import the SDK in the master, if it is wanted, so that the workers share its memory.

        Raises SettingsError when it is not installed.
        """
        if settings.otlp_endpoint:
            try:
                import service.telemetry.spans  # noqa: F401, PLC0415 - an extra
            except ImportError:
                reason = f"traces need packages that are not installed: {INSTALL}"
                raise SettingsError(variable("otlp_endpoint"), reason) from None

    def start(self, settings: Settings, holds_secret: Callable[[str], bool]) -> None:
        """Trace requests, in a worker: the thread that sends would not survive a fork."""
        if settings.otlp_endpoint:
            from service.telemetry.spans import Spans, provider_of  # noqa: PLC0415 - an extra

            self._provider = provider_of(settings)
            tracer = self._provider.get_tracer("service", settings.version)
            self.spans = Spans(tracer, holds_secret)

    def stop(self) -> None:
        """Send what waits, for two seconds at most: the SDK's own wait has no such end."""
        if self._provider is not None:
            shutdown = Thread(target=self._provider.shutdown, daemon=True)
            shutdown.start()
            shutdown.join(_FLUSH_SECONDS)
            self._provider = None


traces: Final = Traces()
