"""Rules, dashboards and runbook name only metrics that the service exports, and all of them."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from client.amqp import AmqpClient
from loadgen.common.processes import free_port, responds, running
from service.config.settings import Settings
from service.decisions.groups import Groups
from service.decisions.log import DecisionLog
from service.decisions.quality_loop import measure
from service.telemetry.metrics.decision_quality import QualityMetrics
from tests.screenshots.decision_path import fill
from tests.support.amqp import answering
from tests.support.commands import environment, prefixed
from tests.support.installation import Installation
from tests.support.paths import ROOT, WITH_TOY
from tests.support.rabbitmq import RabbitMQ
from tests.support.server import METRICS_TOKEN, eventually
from tests.support.strategies import VALID
from tests.support.swapping import SECOND, following, registry_of_twins, wait_until_all_serve
from tests.support.toy_registry import add_toy, toy_command
from tests.support.web_server import web_serving

MONITORING = ROOT / "monitoring"
# Names of the service's own series; those of recording rules have colons.
_NAME = re.compile(r"(?<![\w:])scoring_[a-z_]+(?![\w:])")
_PARTS = ("_bucket", "_sum", "_count", "_total", "_created")

# What no rule, panel or page of the runbook uses, with the reason.
UNUSED: dict[str, str] = {
    "scoring_unseen_categories": "former name of scoring_warnings, for one release",
    "scoring_lookalike_readings": "the same",
    "scoring_normalised_values": "the same",
    "scoring_capture_last_write_timestamp_seconds": "absent until a worker has written",
}


def family(name: str) -> str:
    """A sample's metric, without what its parts are called."""
    for part in _PARTS:
        name = name.removesuffix(part)
    return name


def sources() -> list[Path]:
    rules = [*MONITORING.glob("prometheus/rules/*.yml"), *MONITORING.glob("prometheus/*.yml")]
    return [*rules, *MONITORING.glob("grafana/dashboards/*.json"), MONITORING / "RUNBOOK.md"]


@pytest.fixture(scope="module")
def page(  # noqa: PLR0913, PLR0917 - of so many kinds
    scoring_page: str,
    amqp_page: str,
    web_page: str,
    worker_page: str,
    sink_page: str,
    quality_page: str,
) -> str:
    """The metrics of all kinds of processes."""
    return scoring_page + amqp_page + web_page + worker_page + sink_page + quality_page


@pytest.fixture(scope="module")
def quality_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The metrics of a sink on the quality of decisions."""
    folder, registry = tmp_path_factory.mktemp("quality"), CollectorRegistry()
    fill(folder)
    with closing(DecisionLog(folder)) as log:
        measure(log, Settings(), Groups(), QualityMetrics(registry))
    return generate_latest(registry).decode()


@pytest.fixture(scope="module")
def sink_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The metrics of a sink of decisions, once its store has what is there: nothing."""
    folder, address = tmp_path_factory.mktemp("names"), f"127.0.0.1:{free_port()}"
    settings = {"decisions_dir": str(folder / "log"), "sink_metrics_bind": address}
    named = environment(folder, prefixed("SCORING", settings))
    command = (sys.executable, "-m", "service.decisions", "sink")

    def look() -> str:
        return httpx.get(f"http://{address}/metrics").text

    with running(
        command, folder / "sink.log", lambda: responds(f"http://{address}/healthz"), named
    ):
        eventually(lambda: "scoring_decision_store_rows_total{" in look(), "its store is open")
        yield look()


@pytest.fixture(scope="module")
def worker_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The metrics of a job worker that has done nothing.

    It serves a model with bins of drift, and has a cache, which it does not need yet.
    """
    folder, address = tmp_path_factory.mktemp("names"), f"127.0.0.1:{free_port()}"
    cache = {"CACHE": f"redis://127.0.0.1:{free_port()}/0", "CACHE_SECRET": "s" * 32}
    settings = {"WORKER_METRICS_BIND": address, "EXTRA_MODELS": "digits", **cache}
    with Installation(folder, settings).worker():

        def look() -> str:
            return httpx.get(f"http://{address}/metrics").text

        eventually(lambda: "scoring_catalog_drift_reference_ratio{" in look(), "it serves digits")
        yield look()


@pytest.fixture(scope="module")
def amqp_page(rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The metrics of a worker that has answered a request over AMQP."""
    broker = rabbitmq.url(rabbitmq.add_vhost())
    with answering(tmp_path_factory.mktemp("names"), broker) as server:
        with AmqpClient(broker) as client:
            assert client.call("regno", VALID, timeout=20).status == 200
        yield server.page()


@pytest.fixture(scope="module")
def web_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The metrics of the web processes, once they have looked at the jobs."""
    with (
        web_serving(tmp_path_factory.mktemp("names")) as server,
        server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client,
    ):

        def look() -> str:
            return client.get("/metrics").text

        eventually(lambda: "scoring_jobs{" in look(), "the jobs are counted")
        memory = "scoring_picture_process_resident_memory_bytes{"
        eventually(lambda: memory in look(), "the picture process shows itself")
        yield look()


@pytest.fixture(scope="module")
def scoring_page(
    tmp_path_factory: pytest.TempPathFactory, request_bodies: list[dict[str, Any]]
) -> Iterator[str]:
    """The metrics of a service that changed its model, and answered good and bad requests.

    It serves a second model too.
    """
    folder = tmp_path_factory.mktemp("names")
    registry = registry_of_twins(folder)
    add_toy(folder, "gentle", 0.1)
    toy_command(folder, "promote", "gentle")
    with following(folder, python_path=WITH_TOY["PYTHONPATH"]) as server:
        registry.promote(SECOND, who="the tests")
        wait_until_all_serve(server, SECOND)
        with server.client() as client:
            for body in (*request_bodies, request_bodies, {}, []):
                client.post("/reg/", json=body)
            client.post("/toy/", json=[{"size": 1}, {}])
        with server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client:
            yield client.get("/metrics").text


@pytest.fixture(scope="module")
def request_bodies() -> list[dict[str, Any]]:
    golden = (ROOT / "model/regno/golden.jsonl").read_text(encoding="utf-8").splitlines()
    bodies = [json.loads(line) for line in golden]
    return [*bodies, {**bodies[0], "camera_class": "Неведомая"}]


def exported(page: str) -> set[str]:
    """The samples that the page has."""
    return {re.split(r"[{ ]", line)[0] for line in page.splitlines() if not line.startswith("#")}


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_every_name_that_is_used_is_exported(path: Path, page: str) -> None:
    used = set(_NAME.findall(path.read_text(encoding="utf-8")))
    known = exported(page) | {family(name) for name in exported(page)}
    assert used <= known, sorted(used - known)


def test_every_metric_is_used_or_its_absence_is_explained(page: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in sources()]
    used = {family(name) for text in texts for name in _NAME.findall(text)}
    metrics = {family(name) for name in exported(page) if name.startswith("scoring_")}
    assert metrics - used == set(UNUSED)
