"""Cells of a table, all of them text, checked and turned into the columns of readings.

The checks of whole columns accept what clients normally send. Each row that they do not
accept is read by `model.regno.request`, whose rules alone decide.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import InvalidRequest
from model.regno.columns.characters import Readings
from model.regno.columns.ragged import Lists
from model.regno.columns.table import MONTHS, Columns, coded, columns_of
from model.regno.request import FIELDS, LONGEST, Reading, from_fields, parse_wall_clock
from model.request_decoder import invalid_request
from model.tables.cells import texts_of

Array: TypeAlias = np.ndarray[Any, Any]

# Numbers and lists of JSON.
_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_IS_NUMBER: Final = f"^{_NUMBER}$"
_IS_LIST: Final = rf"^\[{_NUMBER}(?:, ?{_NUMBER})*\]$"
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


def check(cells: Sequence[pa.Array], faults: dict[int, str]) -> Checked:
    """Check columns of cells, one for each of `FIELDS` in their order, of equal lengths.

    A column is of text, or of bytes if some are not UTF-8. There must be at least one row. Rows
    that have a fault already are left out.
    """
    usual, columns = _columns(cells, list(faults))
    unusual, all_faults = {}, dict(faults)
    for row in np.flatnonzero(~usual).tolist():
        if row not in faults:
            try:
                unusual[row] = _reading([column[row].as_py() for column in cells])
            except InvalidRequest as fault:
                all_faults[row] = str(fault)
    return Checked(usual, columns, unusual, all_faults)


def _reading(cells: Sequence[str | bytes]) -> Reading:
    fields = texts_of(FIELDS, cells)
    try:
        return from_fields(**fields)
    except msgspec.ValidationError as error:
        raise invalid_request(error, fields.get) from error


def _columns(cells: Sequence[pa.Array], faulty: list[int]) -> tuple[Array, Columns | None]:
    """Which rows the quick checks accept, and their columns."""
    usual = np.ones(len(cells[0]), dtype=bool)
    column = {}
    for name, array in zip(FIELDS, cells, strict=True):
        column[name] = _text(array, usual)
        lengths = pc.binary_length(column[name]).to_numpy()
        # In bytes, of which no character and no number of a list takes less than one.
        if lengths.max() > LONGEST:
            usual &= lengths <= LONGEST
    accuracies = _numbers(column["recognition_accuracy"])
    confidences = _numbers(column["afts_regno_ai_score"])
    usual &= (accuracies >= 0) & (accuracies <= 100) & (confidences >= 0) & (confidences <= 1)
    away = pc.equal(column["direction"], "1").to_numpy(zero_copy_only=False)
    usual &= away | pc.equal(column["direction"], "0").to_numpy(zero_copy_only=False)
    days, months = _days_and_months(column["time_check"])
    hours = _hours(column["time_check"])
    usual &= (days >= 0) & (hours >= 0)
    character_lists = _lists(column["afts_regno_ai_char_scores"], usual)
    length_lists = _lists(column["afts_regno_ai_length_scores"], usual)
    usual[faulty] = False
    if not usual.any():
        return usual, None
    every = bool(usual.all())
    wanted = pa.array(usual)
    kept = column if every else {name: one.filter(wanted) for name, one in column.items()}
    return usual, Columns(
        camera=Readings(_strings(kept["regno_recognize"])),
        network=Readings(_strings(kept["afts_regno_ai"])),
        accuracy=accuracies[usual],
        confidence=confidences[usual],
        character_scores=character_lists if every else character_lists.only(usual),
        length_scores=length_lists if every else length_lists.only(usual),
        camera_type=_categories(kept["camera_type"]),
        camera_class=_categories(kept["camera_class"]),
        day=days[usual],
        month=months[usual],
        hour=hours[usual],
        direction=away[usual].astype(np.int64),
    )


def _text(array: pa.Array, usual: Array) -> pa.Array:
    """The cells as text; those that are not UTF-8 are not `usual`, and empty."""
    if array.type == pa.string():
        return array
    cells = array.to_pylist()
    for row, cell in enumerate(cells):
        try:
            cell.decode()
        except UnicodeDecodeError:
            usual[row] = False
            cells[row] = b""
    return pa.array(cells, pa.binary()).cast(pa.string())


def _strings(array: pa.Array) -> list[str]:
    # Twice as quick as `to_pylist`.
    strings: list[str] = array.to_numpy(zero_copy_only=False).tolist()
    return strings


def _categories(array: pa.Array) -> Any:
    distinct = array.dictionary_encode()
    return coded(distinct.indices.to_numpy(), distinct.dictionary.to_pylist())


def _numbers(array: pa.Array) -> Array:
    """Each cell as a JSON number, NaN where it is none, shape (n,)."""
    plain = _cast(array)
    if plain is not None and _are_json(*_bytes(array)):
        return plain
    numbers = pc.if_else(pc.match_substring_regex(array, _IS_NUMBER), array, None)
    values: Array = numbers.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _lists(array: pa.Array, usual: Array) -> Lists:
    """The score list of each usual cell; others, for which there is [0], become unusual."""
    if lists := _plain_lists(array):
        return lists
    matching = pc.match_substring_regex(array, _IS_LIST)
    whole = matching.to_numpy(zero_copy_only=False)
    if not whole.all():
        usual &= whole
        array = pc.if_else(matching, array, "[0]")
    numbers, lengths = _split(_inner(array))
    finite = np.isfinite(numbers)
    if not finite.all():
        usual &= np.logical_and.reduceat(finite, np.cumsum(lengths) - lengths)
    return Lists(numbers, lengths)


def _plain_lists(array: pa.Array) -> Lists | None:
    """The score lists as programs write them, None if one is not so.

    The same lists as `_IS_LIST` describes, with a blank behind each comma and finite numbers, told
    by single bytes: to match the pattern and to split the lists takes twice as long.
    """
    data, _, ends = _bytes(array)
    # A number ends at a comma or a bracket. The next one begins two bytes behind, since the cells
    # lie one behind the other.
    stops = np.flatnonzero((data == ord(",")) | (data == ord("]")))
    closing = data[stops] == ord("]")
    last = np.flatnonzero(closing)
    if not np.array_equal(stops[last] + 1, ends) or data[0] != ord("["):
        return None
    before = np.where(closing, ord("["), ord(" "))
    if (data[stops[:-1] + 1] != before[:-1]).any():
        return None
    starts = np.concatenate(([1], stops[:-1] + 2))
    numbers = _cast(_every_other(data, starts, stops))
    if numbers is None or not _are_json(data, starts, stops):
        return None
    return Lists(numbers[::2].copy(), np.diff(last, prepend=-1))


def _every_other(data: Array, starts: Array, ends: Array) -> pa.Array:
    """Texts within `data`, and nulls for what is between them, without copying any."""
    places = np.column_stack((starts, ends)).astype(np.int32)
    size = places.size - 1
    # Bits of the even places are set.
    valid = np.full(size // 8 + 1, 0b01010101, np.uint8)
    buffers = [pa.py_buffer(valid), pa.py_buffer(places), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), size, buffers)


def _cast(texts: pa.Array) -> Array | None:
    """Texts as finite numbers as pyarrow reads them, None if one is none; any number for a null."""
    try:
        cast = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    numbers: Array = np.frombuffer(cast.buffers()[1], np.float64, len(cast), 8 * cast.offset)
    return numbers if np.isfinite(numbers).all() else None


def _inner(lists: pa.Array) -> pa.Array:
    """What is between the brackets, each of which is a single byte."""
    # A view: a cast would look again whether it is UTF-8.
    return pc.binary_slice(lists.cast(pa.binary()), 1, -1).view(pa.string())


def _are_json(data: Array, starts: Array, ends: Array) -> bool:
    """Whether texts within `data` that pyarrow reads as finite numbers are such of JSON.

    pyarrow also reads numbers that begin with a plus or a point, have leading zeros, or no digits
    behind their point. Points are in numbers only.
    """
    first = starts + (data[starts] == ord("-"))
    last = ends - 1
    points = np.flatnonzero(data == ord("."))
    if not (_are_digits(data[first]) and _are_digits(data[last])):
        return False
    if not _are_digits(data[points + 1]):
        return False
    zeros = np.flatnonzero((data[first] == ord("0")) & (first < last))
    return not _digits(data[first[zeros] + 1]).any()


def _digits(characters: Array) -> Array:
    # A byte less than "0" wraps to a great one.
    digits: Array = characters - np.uint8(ord("0")) <= 9
    return digits


def _are_digits(characters: Array) -> bool:
    return bool(_digits(characters).all())


def _split(lists: pa.Array) -> tuple[Array, Array]:
    """The numbers of all lists in a row, and how many each has."""
    parts = pc.split_pattern(lists, ", ")
    try:
        numbers = parts.flatten().cast(pa.float64())
    except pa.ArrowInvalid:  # some lists have no blank behind their commas
        parts = pc.split_pattern(pc.replace_substring(lists, ", ", ","), ",")
        numbers = parts.flatten().cast(pa.float64())
    return numbers.to_numpy(), np.diff(parts.offsets.to_numpy())


def _bytes(array: pa.Array) -> tuple[Array, Array, Array]:
    """The bytes of all cells in a row, and where each cell starts and ends in them."""
    _, places, content = array.buffers()
    offsets = np.frombuffer(places, np.int32)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(content or b"", np.uint8)[offsets[0] : offsets[-1]]
    at = offsets.astype(np.intp) - offsets[0]
    return data, at[:-1], at[1:]


def _days_and_months(array: pa.Array) -> tuple[Array, Array]:
    """The ordinals of their dates, and indices in `MONTHS`, each of shape (n,); day -1 for no date.

    A date is the first ten characters of a cell; what follows is for `_hours`.
    """
    coded = pc.utf8_slice_codeunits(array, 0, _DATE).dictionary_encode()
    known = np.array([_date(date) for date in coded.dictionary.to_pylist()])
    dates = known[coded.indices.to_numpy()]
    return dates // len(MONTHS), dates % len(MONTHS)


def _hours(array: pa.Array) -> Array:
    """The hour in what follows the date, -1 where no readable time ends so, shape (n,)."""
    data, starts, ends = _bytes(array)
    if (ends - starts != _USUAL_TIME).any():
        return np.array([_hour(cell[_DATE:]) for cell in array.to_pylist()])
    usual = _usual_hours(data.reshape(-1, _USUAL_TIME))
    for row in np.flatnonzero(usual < 0).tolist():
        usual[row] = _hour(array[row].as_py()[_DATE:])
    return usual


def _usual_hours(characters: Array) -> Array:
    """The hours in `YYYY-MM-DD HH:MM:SS`, -1 where the clock is not so, shape (n,)."""
    between, colons = characters[:, _DATE], characters[:, [13, 16]]
    right = ((between == ord(" ")) | (between == ord("T"))) & (colons == ord(":")).all(axis=1)
    # A byte less than "0" wraps to a great one.
    digits = (characters[:, _DATE + 1 :] - np.uint8(ord("0"))).astype(np.int64)
    for place, greatest in _GREATEST.items():
        at = place - _DATE - 1
        tens, ones = digits[:, at], digits[:, at + 1]
        right &= (ones <= 9) & (10 * tens + ones <= greatest)
    return np.where(right, 10 * digits[:, 0] + digits[:, 1], -1)


@lru_cache(_REMEMBERED)
def _date(date: str) -> int:
    """Twelve times the day's ordinal plus the month, -1 when it is not a date."""
    try:
        clock = parse_wall_clock(date)
    except ValueError:
        return -1
    return clock.day * len(MONTHS) + MONTHS.index(clock.month)


@lru_cache(_REMEMBERED)
def _hour(rest: str) -> int:
    try:
        return parse_wall_clock("2000-01-01" + rest).hour
    except ValueError:
        return -1
