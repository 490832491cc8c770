"""Replies to callers while a shadow model scores all their rows."""

from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from loadgen.bench import wrk
from loadgen.common import rows
from loadgen.common.processes import free_port
from loadgen.common.service import KEY
from tests.support.load import flooding
from tests.support.metrics import value
from tests.support.paths import ROOT
from tests.support.server import KEY as OURS
from tests.support.server import Server, eventually, serving

pytestmark = pytest.mark.slow

_SHADOWED = "tests.support.shadowed:app"
_RATE = 500
_SECONDS = 5
_ROOM = 60


def _rows(server: Server, result: str) -> float:
    return value(server, f'scoring_shadow_rows_total{{result="{result}"}}')


def _started(stack: ExitStack, folder: Path, *arguments: str, **settings: str) -> Server:
    address = {"host": "127.0.0.1", "port": str(free_port())}
    keys = f"bench:{KEY},example:{OURS}"
    return stack.enter_context(
        serving(folder, *arguments, **address, **settings, api_keys=keys, log_level="error")
    )


def test_at_the_promised_rate_all_are_answered_and_all_are_compared(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = _started(stack, tmp_path, _SHADOWED)
        with flooding(server.port, _RATE, 32, seconds=_SECONDS) as stream:
            stats = stream.wait()
        due = _RATE * _SECONDS
        assert stats.counts() == {"200": due}
        eventually(lambda: _rows(server, "scored") + _rows(server, "dropped") == due, "all counted")
        assert _rows(server, "failed") == 0
        # Where others want the machine, rows are dropped.
        assert _rows(server, "scored") > 0
        assert server.output() == ""


def test_its_queue_keeps_its_bound_under_load(tmp_path: Path) -> None:
    singles = rows.singles(rows.read(ROOT / "loadgen/data/rows.csv"))
    bodies = wrk.write_bodies(singles, tmp_path / "bodies")
    over, seen = Event(), [0.0]
    with ExitStack() as stack:
        server = _started(stack, tmp_path / "server", _SHADOWED, shadow_queue_rows=str(_ROOM))

        def watch() -> None:
            while not over.wait(0.05):
                seen.append(value(server, "scoring_shadow_queue_rows"))

        watching = Thread(target=watch)
        watching.start()
        try:
            assert wrk.run(server.port, bodies, 32, 3).errors == 0
        finally:
            over.set()
            watching.join()
        assert 0 < max(seen) <= _ROOM
        assert _rows(server, "dropped") > 0
