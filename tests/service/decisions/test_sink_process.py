"""The process of the sink with stores that are away, and killed at any moment."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import httpx
import pytest

from loadgen.common.processes import Program, free_port
from model.regno import golden
from service.decisions.log import DecisionLog
from tests.support.analysis_stores import (
    Case,
    ClickHouse,
    ClickHouseCase,
    MongoCase,
    MongoDB,
    ParquetCase,
)
from tests.support.commands import environment, prefixed, run_module
from tests.support.decisions import decision, spool
from tests.support.paths import ROOT
from tests.support.server import eventually as soon

pytestmark = pytest.mark.slow

_TOKEN = "wL9x-token"
_LONGEST = 300.0
_STORES = ("parquet", "clickhouse", "mongodb")


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait as long as a busy machine may take for several processes."""
    soon(holds, what, _LONGEST)


class Sink(Program):
    """The sink of a log as a process, with all three stores and its metrics."""

    def __init__(self, log: DecisionLog, clickhouse: ClickHouse, mongodb: MongoDB) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        settings = {
            "decisions_dir": str(log.folder),
            "clickhouse": clickhouse.url,
            "mongodb": mongodb.url,
            "metrics_token": _TOKEN,
            "sink_metrics_bind": self.address,
        }
        folder = log.folder.parent
        command = (sys.executable, "-m", "service.decisions", "sink")
        named = environment(folder, prefixed("SCORING", settings))
        super().__init__(command, ROOT, folder / "sink.log", named)

    def metric(self, name: str, store: str = "") -> float:
        """The value of a metric, -1 without one."""
        headers = {"Authorization": f"Bearer {_TOKEN}"}
        try:
            page = httpx.get(f"http://{self.address}/metrics", headers=headers).text
        except httpx.TransportError:
            return -1
        labels = f'{{store="{store}"}}' if store else ""
        start = f"scoring_decision_{name}{labels} "
        found = [line for line in page.splitlines() if line.startswith(start)]
        return float(found[0].rpartition(" ")[2]) if found else -1

    def lags(self) -> list[float]:
        """Entries and removals that each store lacks, together."""
        names = ("store_lag_entries", "store_lag_removals")
        return [sum(self.metric(name, store) for name in names) for store in _STORES]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    made = DecisionLog(tmp_path / "log")
    yield made
    made.close()


@pytest.fixture
def cases(clickhouse: ClickHouse, mongodb: MongoDB) -> list[Case]:
    return [ParquetCase(), ClickHouseCase(clickhouse), MongoCase(mongodb)]


def kept(log: DecisionLog) -> list[int]:
    """The decisions of the log that are not forgotten."""
    return [row.entry for row in log.store.rows("kind = 'decision' AND salt IS NOT NULL")]


def test_stores_that_are_away_lag_and_get_each_row_once(
    log: DecisionLog, clickhouse: ClickHouse, mongodb: MongoDB, cases: list[Case]
) -> None:
    segment = spool(log, [decision(number) for number in range(50)])
    with closing(Sink(log, clickhouse, mongodb)) as sink:
        eventually(lambda: sink.metric("sink_entries_total") == 50, "the log has all")
        eventually(lambda: sink.lags()[1:] == [0, 0], "two stores have all")
        clickhouse.kill()
        mongodb.stop()
        segment.close()
        spool(log, [decision(number) for number in range(50, 80)]).close()
        eventually(lambda: sink.metric("sink_entries_total") == 80, "the log takes more")
        # Python's own process takes no decisions: the command waits for the same lock.
        plate = golden.readings()[0].afts_regno_ai
        settings = prefixed("SCORING", {"decisions_dir": str(log.folder)})
        done = run_module(
            log.folder, "service.decisions", "forget", plate, settings=settings, cwd=ROOT
        )
        assert done.stdout.startswith("forgotten: ")
        lacks = 80 + 1 - 50 + 80 - len(kept(log))
        eventually(lambda: sink.lags()[1:] == [lacks, lacks], "the metrics say so")
        for store in ("clickhouse", "mongodb"):
            assert sink.metric("store_failures_total", store) >= 1
            assert sink.metric("store_lag_seconds", store) >= 0
        clickhouse.start()
        mongodb.start()
        eventually(lambda: sink.lags() == [0, 0, 0], "all stores have all")
        assert sink.metric("sink_last_sync_timestamp_seconds") > 1.7e9
    assert 60 < len(kept(log)) < 80
    for case in cases:
        assert case.entries(log) == kept(log)


def test_a_sink_that_is_killed_at_any_moment_sends_each_row_once(
    log: DecisionLog, clickhouse: ClickHouse, mongodb: MongoDB, cases: list[Case]
) -> None:
    random, number = Random(3), 0
    for _ in range(2):
        with closing(Sink(log, clickhouse, mongodb)) as sink:
            eventually(lambda: sink.metric("store_lag_entries", "mongodb") >= 0, "it runs")
            for _ in range(random.randrange(1, 4)):
                spool(log, [decision(one) for one in range(number, number + 20)]).close()
                number += 20
                # Some of them in the log, and some of these in some stores.
                target = random.randrange(number - 20, number + 1)
                eventually(lambda: log.store.size >= target, "it works")  # noqa: B023
            sink.kill()
    with closing(Sink(log, clickhouse, mongodb)) as sink:
        eventually(
            lambda: log.store.size == number and sink.lags() == [0, 0, 0],
            "all stores have all",
        )
    for case in cases:
        assert case.entries(log) == list(range(number))


def test_a_store_that_cant_be_used_is_named_and_nothing_secret_is(
    log: DecisionLog, clickhouse: ClickHouse
) -> None:
    address = f"http://sink:wL9x-wrong@127.0.0.1:{clickhouse.port}/scoring"
    settings = {"decisions_dir": str(log.folder), "clickhouse": address}
    named = environment(log.folder, prefixed("SCORING", settings))
    command = (sys.executable, "-m", "service.decisions", "sink")
    output = log.folder.parent / "sink.log"
    with closing(Program(command, ROOT, output, named)):
        failure = "The store clickhouse takes no decisions"
        eventually(lambda: failure in output.read_text(), "it says so")
        assert "wL9x-wrong" not in output.read_text()
    for field, value in (("clickhouse", "http://no-database"), ("sink_metrics_bind", "1.1.1.1:1")):
        bad = prefixed("SCORING", {"decisions_dir": str(log.folder), field: value})
        done = run_module(log.folder, "service.decisions", "sink", settings=bad, cwd=ROOT)
        assert done.returncode == 78
        assert f"SCORING_{field.upper()}: " in done.stderr
