"""Cells of a CSV file, all of them UTF-8 text, checked and turned into the columns of a table.

The checks of whole columns accept what clients normally send. Each row that they do not
accept is read by `model.regno.request`, whose rules alone decide.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import compress
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from model.errors import InvalidRequest
from model.regno.columns.ragged import Lists
from model.regno.columns.table import MONTHS, Columns, columns_of
from model.regno.request import (
    FIELDS,
    LONGEST,
    Reading,
    from_fields,
    parse_scores,
    parse_wall_clock,
)
from model.request_decoder import invalid_request

Array: TypeAlias = np.ndarray[Any, Any]
Column: TypeAlias = Sequence[bytes]

_numbers_decoder = msgspec.json.Decoder(list[float])
# No control character is part of JSON but in the escape of a string.
_BETWEEN: Final = b"\x1e"
_BOUNDARY: Final = b"]\x1e["
_DIRECTIONS: Final = {b"0": 0, b"1": 1}
_TEXTS: Final = ("regno_recognize", "afts_regno_ai", "camera_type", "camera_class")
_NOT_UTF8: Final = "must be UTF-8 text"
_USUAL_TIME: Final = len("2021-08-01 09:02:59")
_DATE: Final = len("2021-08-01")
_REMEMBERED: Final = 4096
# The greatest hour, minute and second of the clock; each is at this place in the usual form.
_GREATEST: Final = {11: 23, 14: 59, 17: 59}


class Checked(NamedTuple):
    """`n` checked rows.

    `usual` says which rows `columns` holds, in order, shape (n,); `columns` is None if there is
    none. `unusual` are the readings of other rows, and `faults` the faults of the rest, as
    "field: reason".
    """

    usual: Array
    columns: Columns | None
    unusual: dict[int, Reading]
    faults: dict[int, str]

    def pieces(self) -> Iterator[tuple[Array, Columns]]:
        """The rows without a fault in one or two pieces: their places, and their columns."""
        if self.columns:
            yield np.flatnonzero(self.usual), self.columns
        if self.unusual:
            yield np.array(list(self.unusual)), columns_of(list(self.unusual.values()))


def check(cells: Sequence[Column], faults: dict[int, str]) -> Checked:
    """Check columns of cells, one for each of `FIELDS` in their order, of equal lengths.

    There must be at least one row. Rows that have a fault already are left out.
    """
    usual, columns = _columns(cells, list(faults))
    unusual, all_faults = {}, dict(faults)
    for row in np.flatnonzero(~usual).tolist():
        if row not in faults:
            try:
                unusual[row] = _reading([column[row] for column in cells])
            except InvalidRequest as fault:
                all_faults[row] = str(fault)
    return Checked(usual, columns, unusual, all_faults)


def _reading(cells: Column) -> Reading:
    fields = {}
    for name, cell in zip(FIELDS, cells, strict=True):
        try:
            fields[name] = cell.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(name, _NOT_UTF8) from error
    try:
        return from_fields(**fields)
    except msgspec.ValidationError as error:
        raise invalid_request(error, fields.get) from error


def _columns(cells: Sequence[Column], faulty: list[int]) -> tuple[Array, Columns | None]:
    """Which rows the quick checks accept, and their columns."""
    column = dict(zip(FIELDS, cells, strict=True))
    texts = {name: _texts(column[name]) for name in _TEXTS}
    accuracies = _numbers(column["recognition_accuracy"])
    confidences = _numbers(column["afts_regno_ai_score"])
    directions = np.array([_DIRECTIONS.get(cell, -1) for cell in column["direction"]])
    days, months = _days_and_months(column["time_check"])
    hours = _hours(column["time_check"])
    character_lists, whole = _lists(column["afts_regno_ai_char_scores"])
    length_lists, whole_too = _lists(column["afts_regno_ai_length_scores"])
    usual = (accuracies >= 0) & (accuracies <= 100) & (confidences >= 0) & (confidences <= 1)
    usual &= (directions >= 0) & (days >= 0) & (hours >= 0)
    usual &= whole & whole_too
    for text in texts.values():
        usual &= _present(text)
    for cell_column in cells:
        if max(map(len, cell_column)) > LONGEST:
            usual &= _short(cell_column)
    usual[faulty] = False
    keep = _keeper(usual)
    if not usual.any():
        return usual, None
    return usual, Columns(
        camera=keep(texts["regno_recognize"]),
        network=keep(texts["afts_regno_ai"]),
        accuracy=accuracies[usual],
        confidence=confidences[usual],
        character_scores=character_lists.only(usual),
        length_scores=length_lists.only(usual),
        camera_type=keep(texts["camera_type"]),
        camera_class=keep(texts["camera_class"]),
        day=days[usual],
        month=months[usual],
        hour=hours[usual],
        direction=directions[usual],
    )


def _keeper(usual: Array) -> Callable[[Sequence[Any]], Sequence[Any]]:
    if usual.all():
        return lambda column: column
    flags = usual.tolist()
    return lambda column: list(compress(column, flags))


class _Holed(list[Any]):
    """A column in which None stands for what can't be read."""


def _present(column: Sequence[Any]) -> Array | bool:
    if isinstance(column, _Holed):
        return np.array([value is not None for value in column])
    return True


def _short(column: Column) -> Array:
    """Where a cell is too short to break the rule on lengths, be it a text or a list."""
    # In bytes, of which no character and no number of a list takes less than one.
    return np.array([len(cell) <= LONGEST for cell in column])


def _texts(column: Column) -> Sequence[Any]:
    """The text of each cell, None where it is not UTF-8."""
    try:
        texts = b"\n".join(column).decode().split("\n")
    except UnicodeDecodeError:
        return _Holed(map(_text, column))
    return texts if len(texts) == len(column) else [cell.decode() for cell in column]


def _text(cell: bytes) -> str | None:
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return None


def _numbers(column: Column) -> Array:
    """Each cell as a JSON number, NaN where it is none, shape (n,)."""
    joined = b",".join(column)
    # A cell of two numbers makes the count wrong, and no other cell can compensate. Cells with
    # blanks are checked one by one, by rules that may refuse them.
    if not any(blank in joined for blank in (b" ", b"\t", b"\r", b"\n")):
        try:
            numbers = _numbers_decoder.decode(b"[" + joined + b"]")
        except (msgspec.DecodeError, UnicodeError):
            pass
        else:
            if len(numbers) == len(column):
                return np.array(numbers)
    return np.array([_number(cell) for cell in column])


def _number(cell: bytes) -> float:
    try:
        return float(msgspec.convert(cell.decode(), float, strict=False))
    except (msgspec.ValidationError, UnicodeError):
        return np.nan


def _lists(column: Column) -> tuple[Lists, Array | bool]:
    """The score list of each cell, and which cells hold one; in place of others is [0]."""
    return _plain_lists(column) or _any_lists(column)


def _plain_lists(column: Column) -> tuple[Lists, bool] | None:
    """None when a cell is anything but one list that has numbers and no blanks around it."""
    joined = _BETWEEN.join(column)
    # With a bracket on each side of each boundary and one pair for each cell, no cell with
    # stray brackets can pass by borrowing its neighbour's.
    pairs = {joined.count(bracket) for bracket in (b"[", b"]")}
    inner = joined[1:-1].split(_BOUNDARY)
    if pairs != {len(column)} or len(inner) != len(column) or joined[:1] + joined[-1:] != b"[]":
        return None
    try:
        numbers = _numbers_decoder.decode(b"[" + b",".join(inner) + b"]")
    except (msgspec.DecodeError, UnicodeError):
        return None
    lengths = np.array([cell.count(b",") for cell in inner]) + 1
    # Of an empty list, or of a quote that hides commas, there are fewer numbers.
    if lengths.sum() != len(numbers):
        return None
    return Lists(np.array(numbers), lengths), True


def _any_lists(column: Column) -> tuple[Lists, Array]:
    lists = [_list(cell) for cell in column]
    whole = np.array([numbers is not None for numbers in lists])
    return Lists.of([numbers or () for numbers in lists]), whole


def _list(cell: bytes) -> Sequence[float] | None:
    try:
        return parse_scores(cell.decode())
    except ValueError:
        return None


def _days_and_months(cells: Sequence[bytes]) -> tuple[Array, Array]:
    """The ordinals of their dates, and indices in `MONTHS`, each of shape (n,); day -1 for no date.

    A date is the first ten bytes of a cell; what follows is for `_hours`.
    """
    dates = np.array([_date(cell[:_DATE]) for cell in cells])
    return dates // len(MONTHS), dates % len(MONTHS)


def _hours(cells: Sequence[bytes]) -> Array:
    """The hour in what follows the date, -1 where no readable time ends so, shape (n,)."""
    text = b"".join(cells)
    lengths = np.fromiter(map(len, cells), dtype=np.intp, count=len(cells))
    if (lengths != _USUAL_TIME).any():
        return np.array([_hour(cell[_DATE:]) for cell in cells])
    usual = _usual_hours(np.frombuffer(text, dtype=np.uint8).reshape(-1, _USUAL_TIME))
    for row in np.flatnonzero(usual < 0).tolist():
        usual[row] = _hour(cells[row][_DATE:])
    return usual


def _usual_hours(characters: Array) -> Array:
    """The hours in `YYYY-MM-DD HH:MM:SS`, -1 where the clock is not so, shape (n,)."""
    between, colons = characters[:, _DATE], characters[:, [13, 16]]
    right = ((between == ord(" ")) | (between == ord("T"))) & (colons == ord(":")).all(axis=1)
    digits = characters.astype(np.int64) - ord("0")
    for at, greatest in _GREATEST.items():
        tens, ones = digits[:, at], digits[:, at + 1]
        right &= (tens >= 0) & (ones >= 0) & (ones <= 9) & (10 * tens + ones <= greatest)
    return np.where(right, 10 * digits[:, 11] + digits[:, 12], -1)


@lru_cache(_REMEMBERED)
def _date(date: bytes) -> int:
    """Twelve times the day's ordinal plus the month, -1 when it is no date."""
    try:
        clock = parse_wall_clock(date.decode())
    except ValueError:
        return -1
    return clock.day * len(MONTHS) + MONTHS.index(clock.month)


@lru_cache(_REMEMBERED)
def _hour(rest: bytes) -> int:
    try:
        return parse_wall_clock("2000-01-01" + rest.decode()).hour
    except ValueError:
        return -1
