"""Repeated HUPs while models change and /metrics is read: the counters stay right."""

import signal
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from model.registry import Registry
from tests.support.load import flooding
from tests.support.metrics import value
from tests.support.server import METRICS_TOKEN, Server, eventually
from tests.support.swapping import (
    FIRST,
    SECOND,
    following,
    registry_of_two,
    wait_until_all_serve,
)

pytestmark = pytest.mark.slow

_STARTS = "scoring_worker_starts_total"
_RELOADS = 3
Counts = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Scrapes:
    """Looks at the page; no counter on it may ever be less than it was, or be gone."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen: Counts = {}

    def look(self) -> None:
        with self._server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client:
            page = client.get("/metrics")
        assert page.status_code == 200, page.text
        counters = _counters(page)
        assert counters.keys() >= self._seen.keys()
        assert {key: counters[key] for key, n in self._seen.items() if counters[key] < n} == {}
        self._seen = counters


def _counters(page: httpx.Response) -> Counts:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
        if family.type in ("counter", "histogram")
        # What models differ by goes up and down.
        and sample.name != "scoring_shadow_difference_sum"
    }


def _change(
    registry: Registry, version: str, shadow: str, server: Server, scrapes: Scrapes
) -> None:
    registry.promote(version, who="the tests")
    registry.shadow(shadow, who="the tests")
    wait_until_all_serve(server, version)
    for _ in range(5):
        scrapes.look()


def _reload(server: Server, generation: int) -> None:
    before = set(server.pids())
    server.process.send_signal(signal.SIGHUP)
    eventually(partial(_has_started, server, 2 * generation), "all have started")
    eventually(lambda: not before & set(server.pids()), "the old ones are gone")


def _has_started(server: Server, starts: int) -> bool:
    return value(server, _STARTS) >= starts


def _open_files(server: Server) -> int:
    """How many the first process has."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_metrics_stay_true_over_reloads_swaps_and_shadows(tmp_path: Path) -> None:
    registry = registry_of_two(tmp_path)
    registry.shadow(SECOND, who="the tests")
    with following(tmp_path) as server, flooding(server.port, 100, 8) as stream:
        scrapes = Scrapes(server)
        files = _open_files(server)
        for generation in range(2, 2 + _RELOADS):
            _reload(server, generation)
            scrapes.look()
            _change(registry, SECOND, FIRST, server, scrapes)
            _change(registry, FIRST, SECOND, server, scrapes)
        assert value(server, _STARTS) == 2 * (1 + _RELOADS)
        assert _open_files(server) == files
        stats = stream.stop()
    assert stats.counts().keys() == {"200"}
    assert [line for line in server.log() if line.get("level") == "error"] == []
