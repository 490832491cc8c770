"""A whole file as a DataFrame."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from model.tables.columns import check_once, places
from model.tables.errors import TableRefused
from model.tables.format import SNIFFED, Format, Options
from model.tables.source import Source, open_source
from model.tables.table import csv_header, excel_rows

_MISCOUNTED: Final = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
# Numbers as programs write them: leading zeros, as of ids and regions, are not for numbers.
_NUMBER: Final = r"-?(?:0|[1-9]\d{0,17})(?:\.\d+)?(?:[eE][-+]?\d{1,3})?"
_COMMA_NUMBER: Final = r"-?(?:0|[1-9]\d{0,17})(?:,\d+)?(?:[eE][-+]?\d{1,3})?"


def read_frame(
    path: Path,
    options: Options = SNIFFED,
    wanted: Sequence[str] = (),
    as_text: Sequence[str] = (),
) -> tuple[pd.DataFrame, Format]:
    """All rows of a file in any form, and the format that was found; `-` is standard input.

    Wanted columns are found in a header in other letters or with blanks, and get the names that
    are wanted; others keep theirs. A column whose cells are all numbers, or empty, is one of
    numbers with NaN for empty; cells of others are text as in the file, or what Parquet and
    Excel hold. Columns of CSV named in `as_text` stay text in any case: ids may have more digits
    than a number keeps. Raises OSError, and TableRefused in one line: what was seen, what to do.
    """
    with open_source(path, options, wanted) as source:
        frame = _READERS[source.format.kind](source)
    names = list(map(str, frame.columns))
    named = dict(zip(places(names, wanted), wanted, strict=True))
    frame.columns = pd.Index([named.get(at, name) for at, name in enumerate(names)])
    if source.format.kind == "CSV" and len(frame):
        for name in frame.columns.difference(list(as_text)):
            frame[name] = _typed(frame[name], source.format.decimal)
    check_once(list(frame.columns))
    return frame, source.format


def _read_csv(source: Source) -> pd.DataFrame:
    header = csv_header(source)
    names = [str(at) for at in range(len(header.names))]
    read = pyarrow.csv.ReadOptions(column_names=names, use_threads=False)
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
    )
    parse = pyarrow.csv.ParseOptions(delimiter=source.format.sep, newlines_in_values=True)
    try:
        table = pyarrow.csv.read_csv(source.stream, read, parse, convert)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pd.DataFrame(columns=header.names, dtype="str")
        raise TableRefused(_reason(str(error))) from None  # its message holds a row
    frame: pd.DataFrame = table.to_pandas()
    return frame.set_axis(header.names, axis=1)


def _reason(message: str) -> str:
    if miscounted := _MISCOUNTED.search(message):
        row, header, cells = miscounted.groups()
        return f"row {int(row) + 1} (the header is row 1) has {cells} cells, the header {header}"
    if "UTF8" in message:
        return "it holds bytes that are not UTF-8: name its encoding by --encoding"
    return "it can't be read as CSV: is a quote without its partner?"


def _typed(column: "pd.Series[Any]", decimal: str) -> "pd.Series[Any]":
    """Numbers if all cells are, else the text as it is."""
    given = column[column != ""]
    number = _COMMA_NUMBER if decimal == "," else _NUMBER
    if not len(given) or not given.str.fullmatch(number).all():
        return column
    plain = column.str.replace(",", ".", regex=False) if decimal == "," else column
    return pd.to_numeric(plain.where(column != "", None))


def _read_json_lines(source: Source) -> pd.DataFrame:
    rows = []
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for number, line in enumerate(source.stream, start=1):
        bare = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not bare:
            continue
        try:
            rows.append(decode(bare))
        except (msgspec.DecodeError, UnicodeError):
            raise TableRefused(f"line {number} is no JSON object") from None
    return pd.DataFrame(rows)


def _read_parquet(source: Source) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pyarrow.parquet.read_table(source.stream).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        raise TableRefused("its Parquet data are damaged") from error
    return frame


def _read_excel(source: Source) -> pd.DataFrame:
    names, rows = excel_rows(source.stream)
    return pd.DataFrame((row for _, row in rows), columns=names)


_READERS: Final = {
    "CSV": _read_csv,
    "JSON lines": _read_json_lines,
    "Parquet": _read_parquet,
    "Excel": _read_excel,
}
