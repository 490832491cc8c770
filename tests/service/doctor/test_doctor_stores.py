"""The doctor on stores for analysis: away, refused, behind, up to the log."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from service.config.settings import Settings
from service.doctor.finding import Finding
from service.doctor.stores import stores
from tests.support.analysis_stores import ClickHouse, ClickHouseCase, ParquetCase
from tests.support.decisions import decision, filled, opened


def found(settings: Settings) -> dict[str, Finding]:
    """The findings by name."""
    return {finding.name: finding for finding in stores(settings)}


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.close()


def test_each_store_says_what_it_lacks(clickhouse: ClickHouse, tmp_path: Path) -> None:
    with closing(filled(tmp_path, 5)) as log:
        settings = Settings(decisions_dir=str(tmp_path), clickhouse=clickhouse.url)
        ParquetCase().export(log)
        ClickHouseCase(clickhouse).export(log)
        log.append([opened(log, decision(5, time=1.7e9))])
        before = found(settings)
        ClickHouseCase(clickhouse).export(log)
        after = found(settings)["store clickhouse"]
    assert {name: finding.level for name, finding in before.items()} == {
        "store parquet": "warn",
        "store clickhouse": "warn",
    }
    address = f"http://127.0.0.1:{clickhouse.port}/scoring"
    lacks = f"{address} lacks 1 entries and 0 removals, the oldest for "
    assert before["store clickhouse"].description.startswith(lacks)
    assert (after.level, after.description) == ("ok", f"{address} lacks 0 entries and 0 removals")


def test_a_store_that_is_away_fails_without_its_password(tmp_path: Path) -> None:
    filled(tmp_path, 1).close()
    url = f"http://sink:wL9x@127.0.0.1:{free_port()}/scoring"
    settings = Settings(decisions_dir=str(tmp_path), clickhouse=url, decisions_parquet="off")
    (finding,) = stores(settings)
    assert (finding.level, finding.name) == ("fail", "store clickhouse")
    assert "can't be used" in finding.description
    assert "wL9x" not in str(finding)


def test_without_a_log_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert found(Settings()) == {}
    assert found(Settings(decisions_dir=str(tmp_path))) == {}
    alone = found(Settings(mongodb="mongodb://h/d"))["store mongodb"]
    assert (alone.level, alone.remedy) == ("fail", "set both, or neither")
