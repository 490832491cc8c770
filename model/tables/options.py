"""What a person may say about a file of rows, in the words of commands and of interfaces.

Interfaces that only take it import no pyarrow.
"""

import codecs
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


def text_encoding(name: str) -> str:
    """The usual name of an encoding.

    Raises LookupError unless Python knows it, as one of text, and reads on behind bytes that it
    lacks, as `idna` and `undefined` do not.
    """
    try:
        found = codecs.lookup(name).name
        "".encode(found)  # LookupError for what is not text, such as `hex`
        codecs.getincrementaldecoder(found)(errors=text_errors(found)).decode(b"")
    except (ValueError, UnicodeError) as error:  # a NUL in the name; no way to read on
        raise LookupError(name) from error
    return found


def text_errors(encoding: str) -> str:
    """How to go on behind bytes that are not text: with them, or, of wide characters, without."""
    return "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
