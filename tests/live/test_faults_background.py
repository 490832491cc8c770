"""Background work of a worker may fail: no process dies of it, and no text is logged."""

from functools import partial
from pathlib import Path

import pytest

from tests.support.live import Connection, connections, started
from tests.support.metrics import has, value
from tests.support.planted import KEY, PLATE
from tests.support.server import Server, eventually
from tests.support.strategies import VALID

pytestmark = pytest.mark.slow


def _failures(server: Server, part: str) -> float:
    return value(server, f'scoring_background_failures_total{{part="{part}"}}')


def test_parts_that_fail_each_second_end_no_worker_and_no_other_part(tmp_path: Path) -> None:
    with started(tmp_path, "tests.support.failing:app") as server:
        pids = server.pids()
        eventually(lambda: _failures(server, "drift") >= 6, "it has failed for seconds")
        with connections(server, 4) as opened:
            for connection in opened:
                assert connection.score(VALID).status == 200
        eventually(partial(has, server, "scoring_scored_requests_total", 4), "stages are written")
        assert _failures(server, "process") >= 6
        assert _failures(server, "stages") == 0
        for path in ("/thread", "/unraisable"):
            asking = Connection(server)
            assert asking.ask("GET", path).status == 200
            asking.close()
        assert server.pids() == pids
        assert server.stop() == 0
        for part in ("drift", "process", "reports"):
            logged = server.messages("Background work fails", f"part {part}: RuntimeError at ")
            assert len(logged) == 2, "once in each worker, not once a second"
        assert len(server.messages("Uncaught RuntimeError at ")) == 2
        everything = server.output() + server.errors()
        assert PLATE not in everything
        assert KEY not in everything
        assert server.errors() == ""
