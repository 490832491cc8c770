"""The worker process: requests come from the broker, only metrics and probes over HTTP."""

from typing import Any

from service.amqp.consumer import Consumer
from service.app import Parts, scoring_service
from service.http.request_ids import RequestIds
from service.server.site import Site
from service.server.worker import ScoringWorker
from service.telemetry.metrics.amqp import AmqpMetrics


class AmqpWorker(ScoringWorker):
    """Consumes until it is to stop, then answers what it has taken."""

    async def _serve(self) -> None:
        parts: Parts = self.wsgi.parts
        wanted = parts.settings.amqp_names
        services = {
            one.model.name: scoring_service(one, parts)
            for one in parts.served
            if not wanted or one.model.name in wanted
        }
        self._consumer = Consumer(
            parts.settings,
            services,
            RequestIds(parts.holds_secret),
            AmqpMetrics(parts.metrics.registry, services),
            self.log.answered,
        )
        self._consumer.start()
        await super()._serve()

    def _site(self, _address: Any) -> Site:
        site: Site = self.wsgi.metrics_site(self.log.answered)
        return site

    async def _end(self) -> None:
        await self._consumer.stop(self.cfg.graceful_timeout)
        await super()._end()
