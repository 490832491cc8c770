"""What a person may say about a file of rows, in the words of commands and of interfaces.

Interfaces that only take it import no pyarrow.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Kind = Literal["CSV", "JSON lines", "Parquet", "Excel"]
# The order of day, month and year; "" for 2021-08-01, which needs no change.
Dates = Literal["", "dmy", "mdy", "ymd"]

FORMATS: Final[Mapping[str, Kind]] = {
    "csv": "CSV",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
    "xlsx": "Excel",
}
"""The forms of an output, by the names that a caller uses."""

SEPARATORS: Final = (",", ";", "\t", "|")


class Options(NamedTuple):
    """What a person says about a file; "" is for what is to be found out.

    `sep` separates the cells of CSV, `encoding` is a codec of Python's, `decimal` is `.` or `,`,
    `dates` is `dmy` or `mdy`, `sheet` is the name of one in an Excel file.
    """

    sep: str = ""
    encoding: str = ""
    decimal: str = ""
    dates: Dates = ""
    sheet: str = ""


# Nothing is said.
SNIFFED: Final = Options()
