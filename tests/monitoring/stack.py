"""A Prometheus, an Alertmanager and a receiver of notifications for the length of a test."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from loadgen.common.processes import free_port, responds, running
from tests.monitoring.tools import tool

Notification = dict[str, Any]


class Webhook:
    """A receiver that keeps the notifications and credentials that are posted to it."""

    def __init__(self) -> None:
        self.notifications: list[Notification] = []
        self.authorizations: list[str] = []
        webhook = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.authorizations.append(self.headers.get("Authorization", ""))
                webhook.notifications.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Receiver)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def about(self, alert: str) -> list[Notification]:
        """The notifications whose group is that of an alert."""
        return [n for n in self.notifications if n["groupLabels"]["alertname"] == alert]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A receiver on a free port."""
    receiver = Webhook()
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def alertmanager(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """The address of a ready Alertmanager, whose groups wait a second."""
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    ready = f"http://{address}/-/ready"
    with running(
        [
            *(tool("prometheus-alertmanager"), f"--config.file={path}"),
            *(f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address="),
            f"--web.listen-address={address}",
        ],
        folder / "alertmanager.log",
        lambda: responds(ready),
    ):
        yield f"http://{address}"


@contextmanager
def prometheus(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """The address of a ready Prometheus with its configuration and data in a folder."""
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    ready = f"http://{address}/-/ready"
    with running(
        [
            *(tool("prometheus"), f"--config.file={path}"),
            *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"),
        ],
        folder / "prometheus.log",
        lambda: responds(ready),
    ):
        yield f"http://{address}"


def query(address: str, expr: str) -> list[dict[str, Any]]:
    """The samples of an instant query."""
    reply = httpx.get(f"{address}/api/v1/query", params={"query": expr}).json()
    assert reply["status"] == "success", reply
    samples: list[dict[str, Any]] = reply["data"]["result"]
    return samples
