"""The real server writes what it has captured when it is stopped; what a killed worker loses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support import tables
from tests.support.metrics import STARTS, value
from tests.support.server import KEY_HEADER, Server, eventually, serving

pytestmark = pytest.mark.slow


def _score(server: Server, rows: Sequence[dict[str, Any]]) -> None:
    """Each by a connection of its own: both workers get some."""
    for row in rows:
        with server.client() as client:
            assert client.post("/reg/", json=row, headers=KEY_HEADER).is_success


def _captured(folder: Path) -> int:
    files = sorted(folder.iterdir())
    assert all(path.suffix == ".parquet" for path in files)
    return sum(len(pd.read_parquet(path)) for path in files)


def test_all_workers_write_what_waits_when_the_server_stops(tmp_path: Path) -> None:
    folder = tmp_path / "captured"
    rows = tables.samples(30)
    with serving(tmp_path, capture="1", capture_dir=str(folder)) as server:
        _score(server, rows)
    assert _captured(folder) == len(rows)


def test_a_killed_worker_loses_only_what_waited_in_it_and_is_counted_as_a_start(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "captured"
    rows = tables.samples(30)
    with serving(tmp_path, capture="1", capture_dir=str(folder), workers="1") as server:
        _score(server, rows)
        starts = value(server, STARTS)
        (worker,) = server.workers()
        worker.kill()
        eventually(lambda: value(server, STARTS) == starts + 1, "another worker has started")
        _score(server, rows[:10])
        assert value(server, 'scoring_capture_rows_total{result="dropped"}') == 0
    assert _captured(folder) == 10
