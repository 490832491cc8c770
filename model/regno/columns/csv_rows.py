"""Cells of a CSV file, all of them UTF-8 text, checked and turned into the columns of a table.

The checks of whole columns accept what clients normally send. Each row that they do not
accept is read by `model.regno.request`, whose rules alone decide.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from model.errors import InvalidRequest
from model.regno.columns.csv_times import days_and_months, hours
from model.regno.columns.ragged import Lists
from model.regno.columns.table import Columns, columns_of
from model.regno.request import FIELDS, LONGEST, Reading, from_fields, parse_scores
from model.request_decoder import invalid_request

Array: TypeAlias = np.ndarray[Any, Any]
Column: TypeAlias = Sequence[bytes]

_numbers_decoder = msgspec.json.Decoder(list[float])
# No control character is part of JSON but in the escape of a string.
_BETWEEN: Final = b"\x1e"
_BOUNDARY: Final = b"]\x1e["
_DIRECTIONS: Final = {b"0": 0, b"1": 1}
_NOT_UTF8: Final = "must be UTF-8 text"


class Checked(NamedTuple):
    """`n` rows, sorted by what became of them.

    `usual` says which rows `columns` holds, in order, shape (n,); `columns` is None when
    there is none. `unusual` are the readings of other rows, and `faults` tells what is wrong
    with the rest, as "field: reason".
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


def check(cells: Sequence[Column], faults: dict[int, str], longest: int) -> Checked:
    """Check columns of cells, one for each of `FIELDS` in their order, of equal lengths.

    There must be at least one row, and none of more than `longest` bytes. Rows that have a
    fault already are left out.
    """
    usual, columns = _columns(cells, list(faults), longest)
    unusual, found = {}, dict(faults)
    for row in np.flatnonzero(~usual).tolist():
        if row not in faults:
            try:
                unusual[row] = _reading([column[row] for column in cells])
            except InvalidRequest as fault:
                found[row] = str(fault)
    return Checked(usual, columns, unusual, found)


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


def _columns(
    cells: Sequence[Column], faulty: list[int], longest: int
) -> tuple[Array, Columns | None]:
    """Which rows the quick checks accept, and their columns."""
    _, _, accuracy, confidence, characters, lengths, _, _, times, direction = cells
    camera, network, camera_type, camera_class = map(_texts, (*cells[:2], *cells[6:8]))
    accuracies, confidences = _numbers(accuracy), _numbers(confidence)
    directions = np.array([_DIRECTIONS.get(cell, -1) for cell in direction])
    days, months = days_and_months(times)
    clock_hours = hours(times)
    (character_lists, whole), (length_lists, whole_too) = _lists(characters), _lists(lengths)
    usual = (accuracies >= 0) & (accuracies <= 100) & (confidences >= 0) & (confidences <= 1)
    usual &= (directions >= 0) & (days >= 0) & (clock_hours >= 0)
    usual &= whole & whole_too
    for column in (camera, network, camera_type, camera_class):
        usual &= _present(column)
    if longest > LONGEST:
        for cell_column in cells:
            usual &= _short(cell_column)
    usual[faulty] = False
    keep = _keeper(usual)
    if not usual.any():
        return usual, None
    return usual, Columns(
        camera=keep(camera),
        network=keep(network),
        accuracy=accuracies[usual],
        confidence=confidences[usual],
        character_scores=character_lists.only(usual),
        length_scores=length_lists.only(usual),
        camera_type=keep(camera_type),
        camera_class=keep(camera_class),
        day=days[usual],
        month=months[usual],
        hour=clock_hours[usual],
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
    """What JSON's grammar makes of each cell, NaN where it makes no number, shape (n,)."""
    joined = b",".join(column)
    # A cell of two numbers would make the count wrong, since none can make up for it. Blanks
    # are for the row road, which may not take them.
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
