"""The page of metrics in both formats, by their official parsers, in every state."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.monitoring.tools import tool
from tests.support.metrics import value
from tests.support.paths import GOLDEN, lines
from tests.support.server import METRICS_TOKEN, Server, eventually, serving
from tests.support.swapping import (
    SECOND,
    following,
    registry_of_two,
    shown,
    wait_until_all_serve,
)

pytestmark = pytest.mark.slow

_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_PLAIN = "text/plain; version=0.0.4; charset=utf-8"
_ROWS = [line["request"] for line in lines(GOLDEN)[:60]]
_DIFFERENCE = "scoring_shadow_difference"


def _page(server: Server, kind: str) -> str:
    headers = {"Authorization": f"Bearer {METRICS_TOKEN}", "Accept": kind.partition("; charset")[0]}
    with server.client(**headers) as client:
        reply = client.get("/metrics").raise_for_status()
    assert reply.headers["Content-Type"] == kind
    return reply.text


def _assert_readable(server: Server) -> dict[str, Metric]:
    """Both pages parse, hold the same families, and promtool has nothing against them."""
    text = _page(server, _OPENMETRICS)
    assert text.endswith("\n# EOF\n")
    families = {family.name: family for family in openmetrics(text)}  # type: ignore[no-untyped-call]
    for family in families.values():
        _assert_sound(family)
    page = _page(server, _PLAIN)
    assert {family.name for family in plain(page)} == families.keys()
    command = [tool("promtool"), "check", "metrics"]
    checked = subprocess.run(command, input=page, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    return families


def _assert_sound(family: Metric) -> None:
    assert family.documentation.endswith(".")
    parts = {sample.name.removeprefix(family.name) for sample in family.samples}
    below_zero = any(sample.labels.get("le", "").startswith("-") for sample in family.samples)
    expected = {
        "gauge": {""},
        "counter": {"_total"},
        "histogram": {"_bucket"} if below_zero else {"_bucket", "_sum", "_count"},
    }
    # A gauge that was not set yet has no sample.
    assert parts == (expected[family.type] if family.samples else set()), family.name
    assert [sample for sample in family.samples if sample.timestamp or sample.exemplar] == []


def _send(server: Server) -> None:
    with server.client() as client:
        for body in (*_ROWS[:20], _ROWS, {}, [{}], "no JSON"):
            client.post("/reg/", json=body)
        assert client.post("/reg/explain", json=_ROWS[:2]).status_code == 200
        assert client.get("/nowhere").status_code == 404


def _compared(server: Server) -> bool:
    return value(server, 'scoring_shadow_rows_total{result="scored"}') > 0


def test_the_page_can_be_read_in_every_state(tmp_path: Path) -> None:
    registry = registry_of_two(tmp_path)
    with following(tmp_path) as server:
        families = _assert_readable(server)
        assert families[_DIFFERENCE].type == "histogram"
        registry.shadow(SECOND, who="the tests")
        eventually(lambda: _shadowed(server), "all have a shadow")
        _send(server)
        eventually(lambda: _compared(server), "some rows are compared")
        differences = _assert_readable(server)[_DIFFERENCE].samples
        assert differences[-1].labels == {"le": "+Inf"}
        assert differences[-1].value > 0
        registry.promote(SECOND, who="the tests")
        wait_until_all_serve(server, SECOND)
        _send(server)
        _assert_readable(server)
        server.workers()[0].kill()
        eventually(lambda: value(server, "scoring_worker_starts_total") == 3, "a successor starts")
        wait_until_all_serve(server, SECOND)
        _assert_readable(server)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: value(server, "scoring_worker_starts_total") == 5, "all are replaced")
        eventually(lambda: len(server.pids()) == 2, "the old ones are gone")
        wait_until_all_serve(server, SECOND)
        _send(server)
        _assert_readable(server)


def _shadowed(server: Server) -> bool:
    return {note["shadow"] for note in shown(server)["workers"]} == {SECOND}


@contextmanager
def _reloaded(folder: Path) -> Iterator[Server]:
    with serving(folder) as server:
        _send(server)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: value(server, "scoring_worker_starts_total") == 4, "all are replaced")
        eventually(lambda: len(server.pids()) == 2, "the old ones are gone")
        yield server


def test_the_page_can_be_read_after_a_reload(tmp_path: Path) -> None:
    with _reloaded(tmp_path) as server:
        _send(server)
        _assert_readable(server)
