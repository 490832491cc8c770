"""Stores for analysis with real engines, and what is in them."""

import sys
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from loadgen.common.processes import free_port
from service.decisions.log import DecisionLog
from service.decisions.stores import clickhouse_store, mongo_store
from service.decisions.stores.exporter import Exporter
from service.decisions.stores.parquet_store import FOLDER, ParquetStore
from service.decisions.stores.store import AnalysisStore
from tests.support import chdb_server
from tests.support.data_servers import DataServer
from tests.support.paths import ROOT


class ClickHouse(DataServer):
    """ClickHouse's engine; `tests.support.chdb_server` says what it does not show."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        password = quote(chdb_server.PASSWORD, safe="")
        self.url = (
            f"http://{chdb_server.USER}:{password}@127.0.0.1:{self.port}/{chdb_server.DATABASE}"
        )
        arguments = (sys.executable, "-m", "tests.support.chdb_server")
        data = folder / "data"
        command = (*arguments, str(self.port), str(data))
        super().__init__(command, folder, {"PYTHONPATH": str(ROOT)})

    def answers(self) -> bool:
        """Whether its engine runs."""
        with suppress(Exception), closing(clickhouse_store.connected(self.url)):
            return True
        return False

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of an answer."""
        with closing(clickhouse_store.connected(self.url)) as client:
            return [tuple(row) for row in client.query(sql).result_rows]


class MongoDB(DataServer):
    """SecantusDB, which speaks MongoDB's protocol over TCP.

    It is not mongod: of that nothing is shown but the protocol and the documented behaviour of the
    commands that are used. Its licence is the GPL: it is for tests, and not distributed.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"mongodb://127.0.0.1:{self.port}/scoring"
        command = (
            *(sys.executable, "-W", "ignore", "-m", "secantus", "--standalone"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--cache-size", "64M"),
            *("--storage-path", str(folder / "data"), "--log-level", "ERROR"),
        )
        super().__init__(command, folder)

    def client(self) -> "MongoClient[dict[str, Any]]":
        """A client that gives up soon."""
        return MongoClient(self.url, serverSelectionTimeoutMS=500, tz_aware=True)

    def answers(self) -> bool:
        """Whether it takes commands."""
        with suppress(PyMongoError), self.client() as client:
            return bool(client.admin.command("ping"))
        return False


class Case(ABC):
    """One kind of store: opened for a log, and read by other means."""

    @abstractmethod
    def open(self, log: DecisionLog) -> AnalysisStore:
        """The store for a log."""

    @abstractmethod
    def rows(self, log: DecisionLog) -> list[dict[str, Any]]:
        """The rows of a log, in order, with `outcome` where there is a label."""

    def entries(self, log: DecisionLog) -> list[int]:
        """Which entries of the log it has rows of."""
        return [row["entry"] for row in self.rows(log)]

    def export(self, log: DecisionLog) -> int:
        """Bring the store up to the log, as a sink does that was just started: how many rows."""
        with closing(self.open(log)) as store:
            return exported(log, store)


def exported(log: DecisionLog, store: AnalysisStore) -> int:
    """Send all that the store lacks: how many rows."""
    store.batch_entries = 1
    exporter, rows = Exporter(log, store), 0
    while True:
        sent = exporter.step()
        rows += sent.rows
        if sent.is_all:
            return rows


class ParquetCase(Case):
    """Files, read by DuckDB."""

    def open(self, log: DecisionLog) -> AnalysisStore:
        """The files of the log's folder."""
        return ParquetStore(log.folder / FOLDER)

    def rows(self, log: DecisionLog) -> list[dict[str, Any]]:
        """All rows of the files."""
        with duckdb.connect() as connection:
            found = _all(connection, log.folder / FOLDER / "decisions/*/*.parquet")
            labels = _all(connection, log.folder / FOLDER / "labels/*.parquet")
        outcomes = {label["entry"]: label["outcome"] for label in labels}
        assert len(outcomes) == len(labels)
        for row in found:
            row["outcome"] = outcomes.pop(row["entry"], "")
        assert not outcomes, "a label is left of a decision that is not there"
        return sorted(found, key=lambda row: row["entry"])


def _all(connection: duckdb.DuckDBPyConnection, pattern: Path) -> list[dict[str, Any]]:
    if not list(pattern.parent.parent.glob(f"{pattern.parent.name}/*.parquet")):
        return []
    answer = connection.execute("SELECT * FROM read_parquet(?)", [str(pattern)])
    names = [column[0] for column in answer.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
    for row in rows:
        row.pop("day", None)
    return rows


class ClickHouseCase(Case):
    """Tables, read by the view of the migrations."""

    def __init__(self, server: ClickHouse) -> None:
        self.server = server

    def open(self, log: DecisionLog) -> AnalysisStore:
        """The tables of the server."""
        return clickhouse_store.ClickHouseStore(self.server.url, log.id)

    def rows(self, log: DecisionLog) -> list[dict[str, Any]]:
        """All rows of the view."""
        with closing(clickhouse_store.connected(self.server.url)) as client:
            query = f"SELECT * FROM labelled WHERE log = '{log.id}' ORDER BY entry"
            return [dict(row) for row in client.query(query).named_results()]


class MongoCase(Case):
    """Documents with vectors."""

    def __init__(self, server: MongoDB) -> None:
        self.server = server

    def open(self, log: DecisionLog) -> AnalysisStore:
        """The collections of the server."""
        return mongo_store.MongoStore(self.server.url, log.id)

    def rows(self, log: DecisionLog) -> list[dict[str, Any]]:
        """All documents."""
        with self.server.client() as client:
            found = list(client["scoring"]["vectors"].find({"log": log.id}).sort("entry"))
        for row in found:
            row["outcome"] = row.pop("label", {}).get("outcome", "")
        return found
