"""gunicorn's hooks for the web processes."""

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from service.images.client import is_installed
from service.process import startup
from service.process.server_hooks import ServerHooks
from service.runtime import runtime
from service.telemetry.failures import contained
from service.web.settings import PREFIX

if TYPE_CHECKING:
    from service.process.master import Master
    from service.web.wsgi import Application

WEB: Final = startup.Kind(
    MappingProxyType(
        {"worker_class": "service.web.worker.WebWorker", "logger_class": startup.LOGGER}
    ),
    without_effect=("access_log_format", "certfile", "keyfile", "max_requests", "proxy_protocol"),
    prefix=PREFIX,
)


class WebHooks(ServerHooks):
    """Those of every server, with the stores of jobs and the webhooks."""

    @property
    def parts(self) -> "Application":
        """The app of the web processes."""
        from service.web.wsgi import app  # noqa: PLC0415 - gunicorn loads it after this

        return app

    def start(self, worker: Any) -> Callable[..., Any]:
        """Open the stores of jobs. Raises SettingsError or RecordsUnavailable."""
        return self.parts.begin(worker.log.answered)

    def when_ready(self, server: "Master") -> None:
        """In the master: log what is served, and set how many picture processes it keeps."""
        super().when_ready(server)
        number = runtime().settings.images_workers if is_installed() else 0
        contained("workers", self.parts.metrics.picture_processes.configured, number)

    def publish(self) -> None:
        """Read the state of jobs and of the review queue, if it is time."""
        if counts := self.parts.job_counts:
            contained("jobs", counts.publish)
        if review := self.parts.review_counts:
            contained("review", review.publish)

    def worker_exit(self, server: "Master", worker: Any) -> None:
        """In a worker: stop sending webhooks, too."""
        super().worker_exit(server, worker)
        # Last: an endpoint may take long, and the master waits for no worker for ever.
        if webhooks := self.parts.webhooks:
            contained("webhooks", webhooks.stop)
