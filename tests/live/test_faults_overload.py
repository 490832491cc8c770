"""Far more than it can do, for some seconds: all are answered, and it recovers.

Ten times the measured capacity is due. The generator shares the machine with the server and
sends what it can of that, some four to seven times the capacity: what a reply takes then is
measured by `make load SHAPE=overload`, here replies are counted.
"""

import json
import time
from pathlib import Path

import pytest

from loadgen.common.open_loop import StreamStats
from loadgen.common.processes import free_port
from tests.support.load import flooding
from tests.support.metrics import value
from tests.support.paths import GOLDEN, lines
from tests.support.server import Server, serving

pytestmark = [pytest.mark.slow, pytest.mark.alone]

_ROWS = 60
_BODY = json.dumps([line["request"] for line in lines(GOLDEN)[:_ROWS]], ensure_ascii=False).encode()
_CLOSED_LOOP = 1e6
_TIMES = 10
_SECONDS = 8.0
_MODEST = 50
# Arrays may wait twice as long.
_MAX_WAIT_MS = 100
_MEBIBYTE = 1 << 20
_JSON = {"Content-Type": "application/json"}


def _capacity(server: Server) -> float:
    """Arrays a second, for 32 clients of which each sends the next when it has its reply."""
    with flooding(server.port, _CLOSED_LOOP, 32, body=_BODY) as stream:
        time.sleep(2)
        stats = stream.stop()
    return stats.ends["200"].count / stats.seconds


def _overload(server: Server, rate: float) -> tuple[StreamStats, StreamStats]:
    """The results of the flood and of a modest client at the same time.

    The flood has more to do than its own core lets it: its latencies are as much its own.
    """
    with (
        flooding(server.port, rate, 200, seconds=_SECONDS, body=_BODY) as flood,
        flooding(server.port, _MODEST, 10, seconds=_SECONDS, body=_BODY) as modest,
    ):
        return flood.wait(), modest.wait()


def _recover(server: Server) -> None:
    """Return when twenty requests in a row are scored."""
    good, until = 0, time.monotonic() + 30
    with server.client() as client:
        while good < 20:
            reply = client.post("/reg/", content=_BODY, headers=_JSON)
            good = good + 1 if reply.status_code == 200 else 0
            assert time.monotonic() < until, "it never recovers"


def _resident(server: Server) -> float:
    (worker,) = server.workers()
    resident: int = worker.memory_info().rss
    return resident / _MEBIBYTE


def test_what_is_too_much_is_rejected_and_the_server_recovers(tmp_path: Path) -> None:
    address = {"host": "127.0.0.1", "port": str(free_port())}
    settings = {"workers": "1", "max_wait_ms": str(_MAX_WAIT_MS), "log_level": "error"}
    with serving(tmp_path, **address, **settings) as server:
        capacity = _capacity(server)
        before, shed_before = _resident(server), _shed(server)
        flood, modest = _overload(server, _TIMES * capacity)
        growth, shed = _resident(server) - before, _shed(server) - shed_before
        _recover(server)
        assert server.output() == ""  # not one error
    offered = sum(flood.counts().values()) / flood.seconds
    figures = (
        f"capacity {capacity:.0f}/s, offered {offered:.0f}/s, "
        f"grown by {growth:.1f} MiB, flood {flood.ends}, modest {modest.ends}"
    )
    assert flood.counts().keys() == {"200", "429"}, figures
    assert modest.counts().keys() <= {"200", "429"}, figures
    assert len(flood.bodies) == 1
    assert shed == sum(stats.counts().get("429", 0) for stats in (flood, modest))
    assert flood.ends["200"].count > 100, figures
    assert growth < 25, figures


def _shed(server: Server) -> float:
    name = 'scoring_requests_shed_total{{reason="{}"}}'
    return sum(
        value(server, name.format(reason)) for reason in ("full", "deadline", "array", "explain")
    )
