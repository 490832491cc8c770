"""Request bodies from a CSV of readings, built before the measurement."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import cycle, islice
from math import isfinite
from pathlib import Path
from typing import Final, TypeAlias

from loadgen.common.errors import CannotStart

Row: TypeAlias = dict[str, str | float | int]

FIELDS: Final = (
    *("regno_recognize", "afts_regno_ai", "recognition_accuracy", "afts_regno_ai_score"),
    *("afts_regno_ai_char_scores", "afts_regno_ai_length_scores"),
    *("camera_type", "camera_class", "time_check", "direction"),
)
# Arrays of one size: enough of them to differ, few enough to fit in memory.
_ROWS_IN_ALL_ARRAYS: Final = 20_000
_MOST_ARRAYS: Final = 32
# The default of csv.field_size_limit, which is one for the whole process.
_LONGEST_FIELD: Final = 131_072


def read(path: Path) -> list[Row]:
    """The requests of a CSV, as clients send them: numbers as numbers, lists as JSON text.

    Raises CannotStart if the file can't be read, has no rows, or lacks a column.
    """
    try:
        # A spreadsheet writes a byte order mark, which does not belong to the first name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [_typed(row, path) for row in csv.DictReader(file)]
    except csv.Error as error:
        raise CannotStart(f"{path} is not a CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise CannotStart(f"{path} is not in UTF-8") from error
    except ValueError as error:
        raise CannotStart(f"{path} has an invalid number") from error
    except OSError as error:
        raise CannotStart(f"The rows can't be read: {path}: {error.strerror}") from error
    if not rows:
        raise CannotStart(f"{path} has no rows")
    return rows


def _typed(row: dict[str, str], path: Path) -> Row:
    missing = [name for name in FIELDS if not isinstance(row.get(name), str)]
    if missing:
        raise CannotStart(f"{path} lacks a value for {', '.join(missing)}")
    if any(len(row[name]) > _LONGEST_FIELD for name in FIELDS):
        raise csv.Error("a field is too long")
    return {
        **{name: row[name] for name in FIELDS},
        "recognition_accuracy": _finite(row["recognition_accuracy"]),
        "afts_regno_ai_score": _finite(row["afts_regno_ai_score"]),
        "direction": int(row["direction"]),
    }


def _finite(text: str) -> float:
    # JSON has no NaN or infinity: the service would reject the row.
    if not isfinite(number := float(text)):
        raise ValueError(text)
    return number


def singles(rows: Sequence[Row]) -> list[bytes]:
    """One body for each row, each on one line."""
    return [_body(row) for row in rows]


def arrays(rows: Sequence[Row], size: int) -> list[bytes]:
    """Bodies that are arrays of `size` rows, which repeat as often as needed."""
    endless = cycle(rows)
    return [array(list(islice(endless, size))) for _ in range(_count_of(size))]


def _count_of(size: int) -> int:
    """The number of different bodies of so many rows."""
    return min(_MOST_ARRAYS, max(2, _ROWS_IN_ALL_ARRAYS // size))


def tables(rows: Sequence[Row], size: int) -> Iterator[bytes]:
    """Files of `size` rows in CSV, made one by one, which repeat the rows as often as needed."""
    endless = cycle(rows)
    for _ in range(_count_of(size)):
        file = StringIO(newline="")
        written = csv.DictWriter(file, FIELDS, lineterminator="\n")
        written.writeheader()
        written.writerows(islice(endless, size))
        yield file.getvalue().encode()


def array(rows: Sequence[Row]) -> bytes:
    """One body that is an array of these rows, on one line."""
    return _body(rows)


def _body(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()
