"""Servers of stores, shared by the tests of a module."""

from typing import TYPE_CHECKING

import pytest

# Imported on use: most tests here need none of their packages.
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.analysis_stores import Case, ClickHouse, MongoDB


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ClickHouse]":
    from tests.support.analysis_stores import ClickHouse

    server = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[MongoDB]":
    from tests.support.analysis_stores import MongoDB

    server = MongoDB(tmp_path_factory.mktemp("mongodb"))
    server.start()
    yield server
    server.close()


@pytest.fixture(params=["parquet", "clickhouse", "mongodb"])
def case(request: pytest.FixtureRequest) -> "Case":
    """Each kind of store in turn."""
    from tests.support.analysis_stores import ClickHouseCase, MongoCase, ParquetCase

    if request.param == "parquet":
        return ParquetCase()
    if request.param == "clickhouse":
        return ClickHouseCase(request.getfixturevalue("clickhouse"))
    return MongoCase(request.getfixturevalue("mongodb"))
