"""What the metrics page shows: of an app in this process, and of a running server."""

import re

from flask.testing import FlaskClient

from tests.support import parts
from tests.support.live import connections
from tests.support.server import METRICS_TOKEN, Server, eventually
from tests.support.strategies import VALID

TOKEN = {"Authorization": f"Bearer {METRICS_TOKEN}"}
STARTS = "scoring_worker_starts_total"
GOOD = 'scoring_http_requests_total{key="example",method="POST",route="/reg",status="200"}'
ROWS = 'scoring_rows_total{result="scored"}'
SCORES = "scoring_positive_count"


def page(client: FlaskClient) -> str:
    publish(client)
    return client.get("/metrics", headers=TOKEN).text


def publish(client: FlaskClient, in_flight: int = 0) -> None:
    """What a worker does once a second."""
    parts.publish(parts.parts_of(client.application), in_flight)


def values(client: FlaskClient, name: str) -> dict[str, float]:
    """The samples of a name that are not 0, by their labels."""
    samples = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", page(client), re.MULTILINE)
    return {labels: float(value) for labels, value in samples if float(value)}


def value(server: Server, sample: str, **headers: str) -> float:
    """A sample of the page, by its name and labels as they are written there."""
    with server.client(**TOKEN, **headers) as client:
        page = client.get("/metrics").raise_for_status().text
    (number,) = re.findall(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE)
    return float(number)


def has(server: Server, sample: str, wanted: float) -> bool:
    return value(server, sample) == wanted


def send(server: Server, rounds: int) -> None:
    """Eight times as many requests, over connections of both workers."""
    with connections(server, 8) as opened:
        for connection in opened * rounds:
            assert connection.score(VALID).status == 200


def counts(server: Server) -> tuple[float, float, float]:
    return value(server, GOOD), value(server, ROWS), value(server, SCORES)


def counted(server: Server, requests: float) -> None:
    """So many were sent in all. The last ones are counted a moment after their replies."""
    eventually(lambda: counts(server) == (requests,) * 3, f"{requests} are counted")


def up(server: Server) -> list[str]:
    """The places of the workers that are up."""
    with server.client(**TOKEN) as client:
        page = client.get("/metrics").text
    places = re.findall(r'^scoring_worker_up{worker="(\d+)"} 1.0$', page, re.MULTILINE)
    return sorted(places)
