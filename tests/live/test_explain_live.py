"""Explanations beside a stream of scores: scores stay quick, explanations go first."""

import json
import time
from pathlib import Path

import psutil
import pytest

from loadgen.common.open_loop import StreamStats
from tests.support.load import flooding
from tests.support.metrics import value
from tests.support.paths import GOLDEN, lines
from tests.support.planted import PLATE
from tests.support.server import Server, eventually, free_port, serving

pytestmark = pytest.mark.slow

_RATE = 300
_SECONDS = 8.0
_ROWS = [line["request"] for line in lines(GOLDEN)[:60]]
_ARRAYS = json.dumps(_ROWS, ensure_ascii=False).encode()
_TOO_MANY = 1e6
_SHED = 'scoring_requests_shed_total{{reason="{}"}}'


def _address() -> dict[str, str]:
    return {"host": "127.0.0.1", "port": str(free_port()), "workers": "1"}


def _explain(server: Server, seconds: float, rows: int = 5) -> list[int]:
    """The statuses of explanations that are asked one after the other for so long."""
    statuses, until = [], time.monotonic() + seconds
    with server.client() as client:
        while time.monotonic() < until:
            statuses.append(client.post("/reg/explain", json=_ROWS[:rows]).status_code)
    return statuses


def _stream(server: Server, *, explaining: bool) -> tuple[StreamStats, list[int]]:
    with flooding(server.port, _RATE, 20, seconds=_SECONDS) as stream:
        statuses = _explain(server, _SECONDS - 1) if explaining else []
        return stream.wait(), statuses


def test_scores_do_not_wait_for_explanations(tmp_path: Path) -> None:
    with serving(tmp_path, **_address()) as server:
        assert 200 in _explain(server, 0.1)  # its process has started
        alone, _ = _stream(server, explaining=False)
        beside, statuses = _stream(server, explaining=True)
    figures = f"alone {alone.ends}, beside {beside.ends}, {statuses.count(200)} explanations"
    assert set(beside.counts()) == {"200"}, figures
    assert beside.bodies == alone.bodies
    assert statuses.count(200) > 5, figures
    # A row takes 15 to 35 ms: were scores to wait for one, half of them would show it.
    # In a thread beside the scoring it was a second: this tells that, not a benchmark's difference.
    assert beside.ends["200"].sent["p50"] < alone.ends["200"].sent["p50"] + 50, figures


def test_explanations_are_refused_first(tmp_path: Path) -> None:
    # The others wait, however long: a machine that stands still refuses arrays else.
    with serving(tmp_path, **_address(), max_wait_ms="10000") as server:
        with flooding(server.port, _TOO_MANY, 8, body=_ARRAYS) as stream:
            eventually(lambda: 429 in _explain(server, 0.2), "an explanation is refused")
            statuses = _explain(server, 2.0)
            told = stream.stop()
        refused = value(server, _SHED.format("explain"))
        assert statuses.count(429) > 0.5 * len(statuses), statuses
        assert set(statuses) <= {200, 429}
        assert set(told.counts()) == {"200"}, told.ends
        assert refused >= statuses.count(429)
        assert sum(value(server, _SHED.format(r)) for r in ("full", "deadline", "array")) == 0
        eventually(lambda: 200 in _explain(server, 0.1), "explanations come again")


def test_its_process_ends_with_the_server_and_the_log_holds_no_plate(tmp_path: Path) -> None:
    row = {**_ROWS[0], "regno_recognize": PLATE, "afts_regno_ai": PLATE}
    with serving(tmp_path, **_address(), log_level="debug") as server:
        with server.client() as client:
            assert client.post("/reg/explain", json=row).status_code == 200
            assert client.post("/reg/explain", json={**row, "direction": PLATE}).status_code == 400
        (worker,) = server.workers()
        (process,) = worker.children()
        assert PLATE not in " ".join(process.cmdline())
    eventually(lambda: not _runs(process), "its process ends too")
    assert PLATE not in server.output() + server.errors()
    assert "/reg/explain" in server.output()
    assert json.dumps(PLATE)[1:-1] not in server.output()


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
