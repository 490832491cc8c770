"""ClickHouse: rows and labels of decisions, in tables that the files of `clickhouse/` make."""

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import clickhouse_connect

from service.decisions.stores.rows import AnalysisRow, Batch, Label
from service.decisions.stores.store import Position, StoreRefused

_MIGRATIONS: Final = Path(__file__).with_name("clickhouse")
_CONNECT_SECONDS: Final = 5
_REPLY_SECONDS: Final = 60
_APPLIED: Final = """\
CREATE TABLE IF NOT EXISTS migrations (name String, sha256 String, applied DateTime)
ENGINE = MergeTree ORDER BY name"""
# Changed rows are written anew, without what is removed, before the call returns.
_AT_ONCE: Final = {"mutations_sync": 1}
_DAYS: Final = re.compile(r"toIntervalDay\((\d+)\)")
_TABLES: Final = ("decisions", "labels")

# They log each attempt while the server is away; the sink logs the first one.
for _name in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class ClickHouseStore:
    """The database of a URL, for the rows of one log."""

    name = "clickhouse"
    batch_entries = 1_000
    batch_seconds = 1.0

    def __init__(self, url: str, log: str) -> None:
        """Connect, and make what tables lack. Raises what the package does, and StoreRefused."""
        self._log = log
        self._client = connected(url)
        self._step = 0
        for path, _ in missing(self._client):
            _apply(self._client, path)

    def position(self) -> Position:
        """How far it is."""
        found = self._client.query(
            "SELECT step, done, until, removed FROM exports WHERE log = {log:String} "
            "ORDER BY step DESC LIMIT 1",
            parameters={"log": self._log},
        ).result_rows
        self._step, *position = found[0] if found else (0, 0, 0, 0)
        return Position(*position)

    def commit(self, position: Position) -> None:
        """Keep how far it is."""
        self._step += 1
        columns = ["log", "step", *Position._fields]
        self._client.insert("exports", [[self._log, self._step, *position]], columns)

    def append(self, batch: Batch) -> None:
        """Add rows and labels; those of a token that is known are there already."""
        if batch.rows:
            self._insert("decisions", AnalysisRow, batch.rows, batch.token)
        if batch.labels:
            self._insert("labels", Label, batch.labels, batch.token)

    def remove(self, entries: Sequence[int]) -> None:
        """Write the parts with these decisions anew, without them."""
        among = ", ".join(map(str, entries))
        for table in _TABLES:
            self._client.command(
                f"ALTER TABLE {table} DELETE WHERE log = {{log:String}} AND entry IN ({among})",
                parameters={"log": self._log},
                settings=_AT_ONCE,
            )

    def retain(self, days: int) -> None:
        """Set the time to live of the tables, if it is another one."""
        for table in _TABLES:
            made = self._client.command(f"SHOW CREATE TABLE {table}")
            if _DAYS.findall(str(made)) != [str(days)]:
                self._client.command(
                    f"ALTER TABLE {table} MODIFY TTL toDateTime(time) + INTERVAL {days} DAY"
                )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _insert(
        self,
        table: str,
        kind: type[AnalysisRow | Label],
        rows: Sequence[AnalysisRow | Label],
        token: str,
    ) -> None:
        self._client.insert(
            table, rows, list(kind._fields), settings={"insert_deduplication_token": token}
        )


def connected(url: str) -> Any:
    """A client of the database of a URL, http(s)://USER:PASSWORD@HOST:PORT/DATABASE."""
    parts = urlsplit(url)
    return clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or 0,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")),
        connect_timeout=_CONNECT_SECONDS,
        send_receive_timeout=_REPLY_SECONDS,
        # With a session the server would refuse two requests at once.
        autogenerate_session_id=False,
    )


def missing(client: Any) -> Iterator[tuple[Path, str]]:
    """The migrations that the database lacks, and the SHA-256 of each. Raises StoreRefused."""
    client.command(_APPLIED)
    applied = dict(client.query("SELECT name, sha256 FROM migrations").result_rows)
    files = sorted(_MIGRATIONS.glob("*.sql"))
    if newer := applied.keys() - {path.name for path in files}:
        raise StoreRefused(f"its tables are of a newer version, by {min(newer)}")
    for path in files:
        digest = sha256(path.read_bytes()).hexdigest()
        if path.name not in applied:
            yield path, digest
        elif applied[path.name] != digest:
            raise StoreRefused(f"it was made by another {path.name}")


def _apply(client: Any, path: Path) -> None:
    """Run the statements of a migration, and record it."""
    content = path.read_bytes()
    lines = (line for line in content.decode().splitlines() if not line.lstrip().startswith("--"))
    for statement in filter(str.strip, "\n".join(lines).split(";")):
        client.command(_again(statement))
    row = [path.name, sha256(content).hexdigest(), datetime.now(UTC)]
    client.insert("migrations", [row], ["name", "sha256", "applied"])


def _again(statement: str) -> str:
    """The statement so that one that a killed sink has run already changes nothing."""
    return re.sub(r"CREATE (TABLE|VIEW) ", r"CREATE \1 IF NOT EXISTS ", statement)
