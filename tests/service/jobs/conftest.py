"""The stores of jobs: all tests of records run with each."""

from pathlib import Path

import pytest

from service.jobs.records import Records
from service.jobs.redis_records import RedisRecords
from service.jobs.sqlite_records import SqliteRecords


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.slow)])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Records:
    """Empty records."""
    if request.param == "redis":
        return RedisRecords(request.getfixturevalue("records_url"))
    return SqliteRecords(tmp_path / "records.sqlite")
