"""How numbers and times are written in cells of text, and the same cells as programs write them.

Decimals may have commas, also within lists, and dates may begin with the day or the month.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from model.tables.errors import TableRefused
from model.tables.options import Dates

_WITH_POINT: Final = re.compile(r"-?\d+\.\d+(?:[eE][-+]?\d+)?")
_WITH_COMMA: Final = re.compile(r"-?\d*,\d+(?:[eE][-+]?\d+)?")
_LIST_OF_POINTS: Final = re.compile(r"\s*\[[^\]]*\d\.\d[^\]]*\]\s*")
_LIST_OF_COMMAS: Final = re.compile(r"\s*\[[^\].]*\d,\d[^\].]*\]\s*")
_DATE: Final = re.compile(
    r"\s*(?P<first>\d\d?)(?P<sign>[./-])(?P<second>\d\d?)(?P=sign)(?P<year>\d{4}|\d\d)"
    r"(?P<clock>,?[ T]+\d\d?:\d\d[\d:.,]*)?\s*"
)
_YEAR_FIRST: Final = re.compile(
    r"\s*\d{4}(?P<sign>[/.-])\d\d?(?P=sign)\d\d?(?:,?[ T]+\d\d?:\d\d.*)?\s*"
)
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:.*)?")
_MONTHS: Final = 12
_WHOLE_YEAR: Final = 4

_COMMA_NUMBER: Final = r"^(\s*-?[0-9]*),([0-9]+(?:[eE][-+]?[0-9]+)?\s*)$"
_DECIMALS: Final = rb"-?\d+(?:,\d+)?(?:[eE][-+]?\d+)?"
_SPACED_LIST: Final = re.compile(
    rb"\s*\[\s*(?:" + _DECIMALS + rb"(?:,\s+" + _DECIMALS + rb")*\s*)?\]\s*"
)
_INNER_COMMA: Final = re.compile(rb"(?<=\d),(?=\d)")
_AMBIGUOUS: Final = "commas may be between numbers or before decimals: put ; between the numbers"

# What takes the place of each pattern pads days, months and hours to two digits, and gives a year
# of two digits its century. The number of a
# group has one digit in RE2: what follows it is text.
_REST: Final = r"(?:,?[ T].*)?)$"
_HOUR: Final = r",?[ T]+(\d:\d\d.*)$"
_PADDED: Final = (
    (r"^\s*(\d[./-]\d\d?[./-](?:\d\d|\d{4})" + _REST, r"0\1"),
    (r"^\s*(\d\d[./-])(\d[./-](?:\d\d|\d{4})" + _REST, r"\10\2"),
    (r"^\s*(\d\d[./-]\d\d[./-])(\d\d" + _REST, r"\120\2"),
    (r"^\s*(\d\d[./-]\d\d[./-]\d{4})" + _HOUR, r"\1 0\2"),
)
_PADDED_YEAR_FIRST: Final = (
    (r"^\s*(\d{4}[./-])(\d[./-]\d\d?" + _REST, r"\10\2"),
    (r"^\s*(\d{4}[./-]\d\d[./-])(\d" + _REST, r"\10\2"),
    (r"^\s*(\d{4}[./-]\d\d[./-]\d\d)" + _HOUR, r"\1 0\2"),
)
_CLOCK: Final = r",?[ T]+(\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)\s*$"


def _to_iso(parts: str, order: str) -> tuple[tuple[str, str], ...]:
    """The patterns of a date with and without a time, and what takes their places."""
    return ((rf"^\s*{parts}{_CLOCK}", rf"{order} \4"), (rf"^\s*{parts}\s*$", order))


_DOTS: Final = _to_iso(r"(\d\d)\.(\d\d)\.(\d{4})", r"\3-\2-\1")
_OTHER_SIGNS: Final = r"(\d\d)[/-](\d\d)[/-](\d{4})"
_TO_ISO: Final[dict[Dates, Sequence[tuple[str, str]]]] = {
    "": (),
    "dmy": (*_PADDED, *_DOTS, *_to_iso(_OTHER_SIGNS, r"\3-\2-\1")),
    "mdy": (*_PADDED, *_DOTS, *_to_iso(_OTHER_SIGNS, r"\3-\1-\2")),
    "ymd": (*_PADDED_YEAR_FIRST, *_to_iso(r"(\d{4})[./-](\d\d)[./-](\d\d)", r"\1-\2-\3")),
}


class Writing(NamedTuple):
    """`decimal` is the sign before decimals, `list_decimal` the one within lists of numbers.

    They may differ: exports with decimal commas often leave lists as they are.
    """

    decimal: str = "."
    list_decimal: str = "."
    dates: Dates = ""


def writing_of(columns: Iterable[Sequence[str]], decimal: str = "", dates: Dates = "") -> Writing:
    """How columns of text are written, by a sample of their cells.

    `decimal` and `dates` are as a person says, "" for what is to be found out. Raises
    TableRefused for dates in which it can't be told which number is the month.
    """
    columns = [[cell for cell in column if cell] for column in columns]
    cells = [cell for column in columns for cell in column]
    decimal = decimal or _decimal(cells)
    return Writing(decimal, _list_decimal(cells, decimal), dates or _dates(columns))


def usual(
    columns: Sequence[pa.Array], names: Sequence[str], writing: Writing
) -> tuple[list[pa.Array], dict[int, str]]:
    """Columns of text with points before decimals and the year first; faults of unclear rows."""
    changed, faults = list(columns), dict[int, str]()
    if writing.decimal == ",":
        changed = [pc.replace_substring_regex(each, _COMMA_NUMBER, r"\1.\2") for each in changed]
    for pattern, instead in _TO_ISO[writing.dates]:
        changed = [pc.replace_substring_regex(each, pattern, instead) for each in changed]
    if writing.list_decimal == ",":
        faults = _change_lists(changed, names)
    return changed, faults


def _decimal(cells: Sequence[str]) -> str:
    """The sign before decimals in numbers."""
    points = any(map(_WITH_POINT.fullmatch, cells))
    commas = any(map(_WITH_COMMA.fullmatch, cells))
    return "," if commas and not points else "."


def _list_decimal(cells: Sequence[str], decimal: str) -> str:
    """The sign before decimals in lists, by the one in numbers."""
    if decimal == "." or any(map(_LIST_OF_POINTS.fullmatch, cells)):
        return "."
    return "," if any(map(_LIST_OF_COMMAS.fullmatch, cells)) else "."


def _dates(columns: Sequence[Sequence[str]]) -> Dates:
    """The order that dates have. Dots are between days and months only.

    A column has dates if most of its cells are some. One cell with dots and a time is enough.
    """
    for cells in columns:
        dates = [match for match in map(_DATE.fullmatch, cells) if match]
        found = [match for match in dates if len(match["year"]) == _WHOLE_YEAR]
        if any(match["sign"] == "." and match["clock"] for match in found):
            return "dmy"
        if (len(dates) - len(found)) * 2 > len(cells):
            raise _unclear("it has dates such as 02.01.21, whose year has two digits")
        if len(found) * 2 > len(cells):
            signs = {match["sign"] for match in found}
            numbers = [(int(match["first"]), int(match["second"])) for match in found]
            return "dmy" if "." in signs else _order(numbers)
        year_first = list(filter(_YEAR_FIRST.fullmatch, cells))
        if len(year_first) * 2 > len(cells) and not all(map(_ISO.fullmatch, year_first)):
            return "ymd"
    return ""


def _order(numbers: Sequence[tuple[int, int]]) -> Dates:
    day_first = any(first > _MONTHS for first, _ in numbers)
    month_first = any(second > _MONTHS for _, second in numbers)
    if day_first != month_first:
        return "dmy" if day_first else "mdy"
    how = "some begin with the day and some with the month" if day_first else "no day is above 12"
    raise _unclear(f"it has dates such as 02/01/2021, and {how}")


def _unclear(seen: str) -> TableRefused:
    return TableRefused(
        f"{seen}: write the whole year first", "--dates dmy or --dates mdy says what is first"
    )


def _change_lists(columns: list[pa.Array], names: Sequence[str]) -> dict[int, str]:
    """Put points into lists of numbers with decimal commas. Returns the faults of unclear ones."""
    faults = {}
    for at, column in enumerate(columns):
        cells = column.cast(pa.binary()).to_pylist()
        for row, cell in enumerate(cells):
            if b"," in cell and cell.lstrip()[:1] == b"[":
                changed = list_with_points(cell)
                if changed is None:
                    faults[row] = f"{names[at]}: {_AMBIGUOUS}"
                else:
                    cells[row] = changed
        columns[at] = as_text(cells)
    return faults


def list_with_points(cell: bytes) -> bytes | None:
    """A list with decimal commas as one with points; None if its commas are unclear."""
    if b"." in cell:
        return cell
    if b";" in cell:
        return cell.replace(b",", b".").replace(b";", b",")
    return _INNER_COMMA.sub(b".", cell) if _SPACED_LIST.fullmatch(cell) else None


def as_text(cells: Sequence[bytes]) -> pa.Array:
    """The cells as a column: text if all are UTF-8, else bytes."""
    column = pa.array(cells, pa.binary())
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return column
