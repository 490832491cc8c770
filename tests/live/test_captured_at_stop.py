"""The real server writes what it has captured when it is stopped."""

from pathlib import Path

import pandas as pd
import pytest

from tests.support import tables
from tests.support.server import KEY_HEADER, serving

pytestmark = pytest.mark.slow


def test_all_workers_write_what_waits_when_the_server_stops(tmp_path: Path) -> None:
    folder = tmp_path / "captured"
    rows = tables.samples(30)
    with serving(tmp_path, capture="1", capture_dir=str(folder)) as server:
        for row in rows:  # each by a connection of its own: both workers get some
            with server.client() as client:
                assert client.post("/reg/", json=row, headers=KEY_HEADER).is_success
    files = sorted(folder.iterdir())
    assert all(path.suffix == ".parquet" for path in files)
    assert sum(len(pd.read_parquet(path)) for path in files) == len(rows)
