"""The processes that answer over AMQP, as an operator starts them: `python -m service.amqp`."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from loadgen.common.processes import Program, free_port
from tests.support.server import METRICS_TOKEN


class AmqpServer(Program):
    """Running workers with their own working folder, away from any `.env`."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder / "amqp"
        self._folder.mkdir(parents=True)
        self._metrics = f"127.0.0.1:{free_port()}"
        self._workers = int(settings.get("SCORING_WORKERS", "1"))
        self._out = folder / "amqp-stdout"
        super().__init__(
            [sys.executable, "-m", "service.amqp"],
            self._folder,
            self._out,
            {
                "TMPDIR": str(self._folder),
                "SCORING_WORKER_METRICS_BIND": self._metrics,
                "SCORING_METRICS_TOKEN": METRICS_TOKEN,
                "SCORING_WORKERS": "1",
                **settings,
            },
        )

    def wait_ready(self) -> None:
        """Wait until all workers consume."""
        self.wait_until(lambda: self.value("scoring_amqp_consumers") == self._workers)

    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        return psutil.Process(self.process.pid).children()

    def page(self) -> str:
        """The page of its metrics."""
        token = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        return httpx.get(f"http://{self._metrics}/metrics", headers=token, trust_env=False).text

    def value(self, sample: str, **labels: str) -> float | None:
        """A sample of the metrics, summed over what the labels leave open; None without one."""
        with suppress(httpx.TransportError):
            found = [
                one.value
                for family in text_string_to_metric_families(self.page())
                for one in family.samples
                if one.name == sample and labels.items() <= one.labels.items()
            ]
            return sum(found) if found else None
        return None

    def output(self) -> str:
        """Its output so far."""
        return self._out.read_text()

    def log(self) -> list[dict[str, Any]]:
        """Its log so far."""
        return [json.loads(line) for line in self.output().splitlines()]


@contextmanager
def answering(folder: Path, broker: str, **settings: str) -> Iterator[AmqpServer]:
    """Workers that consume from a broker; `settings` are named without their prefix."""
    named = {f"SCORING_{name.upper()}": value for name, value in settings.items()}
    server = AmqpServer(folder, {"SCORING_BROKER": broker, **named})
    try:
        server.wait_ready()
        yield server
        assert server.stop() == 0, server.log()
    finally:
        server.close()
