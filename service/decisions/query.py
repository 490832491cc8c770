"""Questions in SQL to the Parquet files, by DuckDB: read-only, and no file but these."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

import duckdb
import msgspec

from service.decisions.stores.parquet_store import DECISIONS, FOLDER, LABELS, SCHEMAS

_ROWS_AT_ONCE: Final = 1_000
# What a column of a table shows of a value.
_WIDEST: Final = 60
_VIEW: Final = """
CREATE VIEW decisions AS
SELECT found.*, label.outcome, label.source, label.labelled
FROM rows_of_decisions AS found LEFT JOIN rows_of_labels AS label USING (log, entry)
"""
# Nothing is fetched from elsewhere.
_CONFIG: Final[dict[str, Any]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
# Set at last: nothing can be opened or set afterwards.
_CLOSED: Final = (
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class BadQuery(Exception):
    """The text is no question in SQL, or can't be answered, for this reason."""


class Answer:
    """The answer to a question, row by row."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.columns = [column[0] for column in cursor.description or ()]
        self._cursor = cursor

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows. Raises BadQuery for what shows only while it is read."""
        try:
            while found := self._cursor.fetchmany(_ROWS_AT_ONCE):
                yield from found
        except duckdb.Error as error:
            raise BadQuery(str(error)) from error


@contextmanager
def answered(folder: Path, sql: str) -> Iterator[Answer]:
    """The answer of one SELECT from the files of the log in a folder. Raises BadQuery.

    There is a view `decisions`, with the outcome of those that have a label.
    """
    with duckdb.connect(":memory:", config=_CONFIG) as connection:
        _make_views(connection, folder.absolute() / FOLDER)
        try:
            statements = connection.extract_statements(sql)
            if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
                raise BadQuery("one SELECT is wanted")
            yield Answer(connection.execute(statements[0]))
        except duckdb.Error as error:
            raise BadQuery(str(error)) from error


def _make_views(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The views, and no access to anything but the folder."""
    for name, pattern in ((DECISIONS, "day=*/*.parquet"), (LABELS, "*.parquet")):
        view, files = f"rows_of_{name}", folder / name / pattern
        if next((folder / name).glob(pattern), None):
            # The day of the folder is that of the column `time`.
            found = connection.read_parquet(str(files), hive_partitioning=False)
            found.create_view(view)
        else:
            connection.from_arrow(SCHEMAS[name].empty_table()).create(view)
    connection.execute(_VIEW)
    escaped = str(folder).replace("'", "''")
    connection.execute(f"SET allowed_directories = ['{escaped}']")
    for statement in _CLOSED:
        connection.execute(statement)


def write_csv(answer: Answer, target: TextIO) -> None:
    """The answer as CSV; maps and lists are JSON."""
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(map(_text, answer.rows()))


def write_json(answer: Answer, target: TextIO) -> None:
    """The answer as JSON, an object on each line."""
    for row in answer.rows():
        named = dict(zip(answer.columns, row, strict=True))
        target.write(f"{_json(named)}\n")


def write_table(answer: Answer, target: TextIO) -> None:
    """The answer as aligned columns, long values cut."""
    cut = ([cell[:_WIDEST] for cell in _text(row)] for row in answer.rows())
    shown = [answer.columns, *cut]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        target.write("  ".join(cells).rstrip() + "\n")


def _text(row: Sequence[object]) -> list[str]:
    return ["" if value is None else _cell(value) for value in row]


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return _json(value) if isinstance(value, dict | list) else str(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
