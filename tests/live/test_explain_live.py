"""Explanations during a stream of scores: all are scored, explanations are refused first."""

import json
import time
from pathlib import Path

import psutil
import pytest

from loadgen.common.open_loop import StreamStats
from loadgen.common.processes import free_port
from tests.support.load import flooding
from tests.support.metrics import value
from tests.support.paths import GOLDEN, lines
from tests.support.planted import PLATE
from tests.support.server import Server, eventually, serving

pytestmark = pytest.mark.slow

_RATE = 300
_SECONDS = 5.0
_ROWS = [line["request"] for line in lines(GOLDEN)[:60]]
_ARRAYS = json.dumps(_ROWS, ensure_ascii=False).encode()
_TOO_MANY = 1e6
_SHED = 'scoring_requests_shed_total{{reason="{}"}}'


def _address() -> dict[str, str]:
    return {"host": "127.0.0.1", "port": str(free_port()), "workers": "1"}


def _explain(server: Server, seconds: float, rows: int = 5) -> list[int]:
    """The statuses of explanations that are requested one after the other for `seconds`."""
    statuses, until = [], time.monotonic() + seconds
    with server.client() as client:
        while time.monotonic() < until:
            statuses.append(client.post("/reg/explain", json=_ROWS[:rows]).status_code)
    return statuses


def _stream(server: Server) -> tuple[StreamStats, list[int]]:
    with flooding(server.port, _RATE, 20, seconds=_SECONDS) as stream:
        statuses = _explain(server, _SECONDS - 1)
        return stream.wait(), statuses


def test_scores_are_answered_during_explanations(tmp_path: Path) -> None:
    with serving(tmp_path, **_address()) as server:
        assert 200 in _explain(server, 0.1)  # its process has started
        scores, statuses = _stream(server)
    assert set(scores.counts()) == {"200"}, scores.ends
    assert len(scores.bodies) == 1
    assert statuses.count(200) > 1


def test_explanations_are_refused_first(tmp_path: Path) -> None:
    # The others wait, however long: a machine that stands still refuses arrays else.
    with serving(tmp_path, **_address(), max_wait_ms="10000") as server:
        with flooding(server.port, _TOO_MANY, 8, body=_ARRAYS) as stream:
            eventually(lambda: 429 in _explain(server, 0.2), "an explanation is refused")
            statuses = _explain(server, 2.0)
            stats = stream.stop()
        refused = value(server, _SHED.format("explain"))
        assert statuses.count(429) > 0.5 * len(statuses), statuses
        assert set(statuses) <= {200, 429}
        assert set(stats.counts()) == {"200"}, stats.ends
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
