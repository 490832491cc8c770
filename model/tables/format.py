"""How a file of rows is written: found out from its beginning, or as options say."""

import argparse
import codecs
import csv
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from model.tables.columns import matched
from model.tables.errors import TableRefused
from model.tables.options import SEPARATORS, Dates, Kind, Options, text_encoding
from model.tables.writing import Writing, writing_of

# Of a file's beginning, from which its format is found out.
SAMPLE_BYTES: Final = 256 * 1024
_NAMES: Final = {"tab": "\t", "\\t": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}
_SHOWN: Final = {"\t": "a tab"}
_FIRST: Final = {"dmy": "day", "mdy": "month", "ymd": "year"}
_SAMPLE_ROWS: Final = 1000

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Those of Russian text, the most frequent first.
_CYRILLIC: Final = ("cp1251", "cp866", "koi8-r", "iso8859-5", "mac-cyrillic")
# Within a word, a small letter before a capital one: text read by a wrong encoding is full of them.
_ODD_CASE: Final = re.compile("[а-яё][А-ЯЁ]")
_STRANGE: Final = re.compile(r"[^\x20-\x7e\s№«»–—А-Яа-яЁё]")

_NO_ROWS: Final = "name a file of rows, such as CSV, Excel or Parquet"
# No header has them.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f]")
# What other files begin with, and what to do with such a file.
_OTHERS: Final = (
    (b"\xd0\xcf\x11\xe0", "it looks like an old Excel file (.xls): save it as .xlsx or CSV"),
    (b"BZh", "it looks compressed by bzip2: decompress it first, or use gzip"),
    (b"\xfd7zXZ", "it looks compressed by xz: decompress it first, or use gzip"),
    (b"\x28\xb5\x2f\xfd", "it looks compressed by zstd: decompress it first, or use gzip"),
    (b"Rar!", "it looks like a RAR archive: unpack it first"),
    (b"7z\xbc\xaf", "it looks like a 7z archive: unpack it first"),
    (b"\x89PNG", "it looks like a PNG picture, not a table"),
    (b"\xff\xd8\xff", "it looks like a JPEG picture, not a table"),
    (b"GIF8", "it looks like a GIF picture, not a table"),
    (b"%PDF", "it looks like a PDF: export the table as CSV"),
    (b"SQLite format 3", "it looks like an SQLite database: export the table as CSV"),
    (b"ARROW1", "it looks like an Arrow file: save it as Parquet"),
    (b"\xff\xff\xff\xff", "it looks like an Arrow stream: save it as Parquet"),
    (b"ORC", "it looks like an ORC file: save it as Parquet"),
    (b"Obj\x01", "it looks like an Avro file: save it as Parquet"),
    (b"\x89HDF", "it looks like an HDF5 file: save it as Parquet"),
    (b"PARE", "it looks like encrypted Parquet: save it without encryption"),
    (b"\x93NUMPY", "it looks like a numpy array: write the table as CSV or Parquet"),
    (b"\x80\x04\x95", "it looks like a Python pickle: write the table as CSV or Parquet"),
    (b"\x80\x05\x95", "it looks like a Python pickle: write the table as CSV or Parquet"),
    (b"CBM1", "it looks like a CatBoost model: name it by --model, and here a file of rows"),
    (b"{\\rtf", "it looks like a text document (RTF): export the table as CSV"),
)
# In the kind of file that old Excel wrote, new Excel puts what it encrypts.
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
# Where the archiver tar puts its sign.
_TAR: Final = slice(257, 262)
GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_ZIP: Final = b"PK\x03\x04"

# As Excel wants it before the header: which sign separates the cells.
_DECLARED: Final = re.compile(r'"?sep=(.)"?\r?')
# Among so many lines may be the header: titles and empty lines come before it.
HEADER_LINES: Final = 20


class Format(NamedTuple):
    """How a file is written.

    `sep` and `encoding` are those of its text: "" in Parquet and Excel. `decimal`, `list_decimal`
    and `dates` are as in `Writing`. `skip` counts the lines before the header of CSV, `header` its
    own, and `trailing` the separators at the end of each row that it lacks. `sheet` is the one of
    Excel that is read, "" for the first; `zone` is that of the times in Parquet, if they have one.
    """

    kind: Kind
    sep: str = ""
    encoding: str = ""
    decimal: str = "."
    list_decimal: str = "."
    dates: Dates = ""
    gzip: bool = False
    skip: int = 0
    header: int = 1
    trailing: int = 0
    sheet: str = ""
    zone: str = ""

    def __str__(self) -> str:
        """What was found, such as "CSV separated by ';', cp1251, decimal commas"."""
        parts: list[str] = [self.kind]
        if self.kind == "CSV":
            parts = [f"CSV separated by {_SHOWN.get(self.sep, repr(self.sep))}"]
        if self.encoding:
            parts.append(self.encoding)
        if self.decimal == ",":
            parts.append("decimal commas")
        if self.dates:
            parts.append(f"times with the {_FIRST[self.dates]} first")
        if self.skip:
            parts.append(f"header in line {self.skip + 1}")
        if self.sheet:
            parts.append(f"sheet {self.sheet}")
        if self.zone:
            parts.append(f"times by the clock of {self.zone}")
        if self.trailing:
            parts.append("rows end with a separator")
        if self.gzip:
            parts.append("gzip")
        return ", ".join(parts)

    def place(self, number: int) -> str:
        """A place in the file for messages: text has lines, Parquet and Excel have rows."""
        return f"{'line' if self.encoding else 'row'} {number}"

    @property
    def writing(self) -> Writing:
        """How its numbers and times are written."""
        return Writing(self.decimal, self.list_decimal, self.dates)

    def written(self, writing: Writing) -> "Format":
        """The same with numbers and times that are written otherwise."""
        decimal, list_decimal, dates = writing
        return self._replace(decimal=decimal, list_decimal=list_decimal, dates=dates)

    @property
    def is_plain(self) -> bool:
        """Whether it is the form that needs no word: CSV with commas in UTF-8."""
        return self in (Format("CSV", ",", "utf-8"), Format("CSV", ",", "utf-8-sig"))


def add_format_options(parser: argparse._ActionsContainer) -> None:
    """Add the options that `options_of` reads."""
    add = parser.add_argument
    add(
        "--sep",
        type=_separator,
        metavar="SIGN",
        help="what separates the cells of CSV: , ; | or tab (default: detected)",
    )
    add(
        "--encoding",
        type=_encoding,
        metavar="NAME",
        help="the file's encoding, such as cp1251 (default: detected)",
    )
    add(
        "--decimal",
        type=_decimal,
        metavar="SIGN",
        help="the sign before decimals: . or , (default: detected)",
    )
    add(
        "--dates",
        choices=("dmy", "mdy"),
        default="",
        help="whether the day or the month is first in 02/01/2021 (default: detected)",
    )
    add(
        "--sheet",
        default="",
        metavar="NAME",
        help="of an Excel file (default: the first with all columns)",
    )


def options_of(options: argparse.Namespace) -> Options:
    """The options that `add_format_options` added."""
    text = options.sep or "", options.encoding or "", options.decimal or ""
    return Options(*text, options.dates, options.sheet)


def _separator(text: str) -> str:
    sep = _NAMES.get(text.lower(), text)
    if sep not in SEPARATORS:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of , ; | and tab")
    return sep


def _encoding(text: str) -> str:
    try:
        return text_encoding(text)
    except LookupError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an encoding of text") from error


def _decimal(text: str) -> str:
    if text not in {".", ","}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither . nor ,")
    return text


def binary_kind(start: bytes) -> Kind | None:
    """Parquet or Excel by a file's first bytes, None for text.

    Raises TableRefused for files of other programs, with what to do.
    """
    if not start:
        raise TableRefused("it is empty")
    if _ENCRYPTED in start:
        raise TableRefused("it looks like an Excel file with a password: save it without one")
    for magic, remark in _OTHERS:
        if start.startswith(magic):
            raise TableRefused(remark)
    if start[_TAR] == b"ustar":
        raise TableRefused("it looks like a tar archive: unpack it first")
    if start.startswith(_PARQUET):
        return "Parquet"
    if start.startswith(_ZIP):
        return "Excel"
    return None


def text_format(
    text: str, encoding: str, options: Options, wanted: Sequence[str], *, is_cut: bool = False
) -> Format:
    """The format of a file that begins with a text, in which these columns are wanted.

    `is_cut`: the text may end within a cell. What the options say is taken as said. Raises
    TableRefused for what can't be a table.
    """
    begin = text.lstrip("\ufeff \t\r\n")[:1]
    if begin == "{" and not options.sep:
        return Format("JSON lines", encoding=encoding)
    if begin == "[" and not options.sep:
        raise TableRefused("it looks like a JSON array: write one object to a line (JSON lines)")
    if begin == "<":
        raise TableRefused("it looks like HTML or XML: export the table as CSV")
    if not begin:
        raise TableRefused("it is empty")
    header = find_header(text, wanted, options.sep)
    lines = text.removeprefix("\ufeff").split("\n", header.skip + header.lines)
    if header.skip < len(lines) and _CONTROL.search(lines[header.skip]):
        raise TableRefused(f"it holds binary data and is not text: {_NO_ROWS}")
    rows = _first_rows("".join(lines[header.skip + header.lines :]), header.sep)
    found = Format(
        *("CSV", header.sep, encoding),
        skip=header.skip,
        header=header.lines,
        trailing=_trailing(rows, len(header.names)),
    )
    whole = [*rows[:-1], rows[-1][:-1]] if is_cut and rows else rows
    columns = _columns(header.names, whole, wanted)
    return found.written(writing_of(columns, options.decimal, options.dates))


def encoding_of(sample: bytes) -> str:
    """The encoding of a text, by its beginning.

    Lines that are not UTF-8 among others that are do not make it another encoding: these rows are
    bad. Raises TableRefused for what is not text.
    """
    for bom, name in _BOMS:
        if sample.startswith(bom):
            return name
    if b"\0" in sample[:200]:
        evens, odds = sample[0:200:2].count(0), sample[1:200:2].count(0)
        if min(evens, odds) * 4 < max(evens, odds) and max(evens, odds) > 1:
            return "utf-16-le" if odds > evens else "utf-16-be"
    lines = [line for line in sample.splitlines()[:_SAMPLE_ROWS] if not line.isascii()]
    if len(lines) > 1 and not sample.endswith((b"\n", b"\r")):
        lines.pop()  # the sample may end within it
    good = sum(map(_is_utf8, lines))
    if good or not lines:
        return "utf-8"
    return _other_encoding(b"\n".join(lines))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.end == len(line) and error.reason == "unexpected end of data"
    return True


def _other_encoding(text: bytes) -> str:
    from charset_normalizer import from_bytes  # noqa: PLC0415 - web processes hide it

    oddities = {}
    for name in _CYRILLIC:
        read = text.decode(name, errors="replace")
        oddities[name] = len(_STRANGE.findall(read)) + len(_ODD_CASE.findall(read))
    best = min(oddities, key=lambda name: oddities[name])
    letters = sum(byte > 127 for byte in text)
    if oddities[best] * 5 <= letters:
        return best
    match = from_bytes(text).best()
    return match.encoding if match else "utf-8"


def decoded(sample: bytes, encoding: str) -> str:
    """The text of a sample, without a character that its end cuts."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    return decoder.decode(sample)


class Header(NamedTuple):
    """The header of CSV: how many lines come before it, how many it has, and its names."""

    skip: int
    lines: int
    sep: str
    names: list[str]


def find_header(text: str, wanted: Sequence[str], sep: str = "") -> Header:
    """The header with which a text begins; `sep` is what separates its cells, if it is known.

    It begins in the first line that has all wanted columns, or else in the first that is not empty.
    """
    lines = text.removeprefix("\ufeff").split("\n", HEADER_LINES)[:HEADER_LINES]
    declared = _DECLARED.fullmatch(lines[0])
    signs = (sep,) if sep else (*(declared.groups() if declared else ()), *SEPARATORS)

    def found(header: Header) -> tuple[int, int]:
        return len(matched(header.names, wanted)), len(header.names)

    begin = 1 if declared else 0
    filled = [at for at, line in enumerate(lines) if at >= begin and line.strip()] or [begin]

    def best(at: int) -> Header:
        return max((_header(lines, at, sign) for sign in signs), key=found)

    whole = (each for each in map(best, filled) if wanted and found(each)[0] == len(wanted))
    return next(whole, None) or best(filled[0])


def _header(lines: Sequence[str], at: int, sep: str) -> Header:
    """The header that begins in this line. Quoted names may have line ends.

    A quote that is not closed as it should be is part of a name.
    """
    whole = csv.reader((f"{line}\n" for line in lines[at:]), delimiter=sep, strict=True)
    with suppress(csv.Error):
        names = next(whole, [])
        return Header(at, max(1, whole.line_num), sep, names)
    with suppress(csv.Error):
        return Header(at, 1, sep, next(csv.reader(lines[at : at + 1], delimiter=sep), []))
    return Header(at, 1, sep, [])


def _first_rows(text: str, sep: str) -> list[list[str]]:
    """The rows with which a text begins, as far as it goes."""
    lines = text.splitlines(keepends=True)[:_SAMPLE_ROWS]
    csv.field_size_limit(sys.maxsize)
    try:
        return list(csv.reader(lines, delimiter=sep))
    except csv.Error:
        return []


def _trailing(rows: Sequence[Sequence[str]], width: int) -> int:
    """How many empty cells more than the header all rows have, 0 if they differ in that."""
    # The text may end within the last one.
    whole = [row for row in (rows[:-1] or rows) if any(row)]
    more = {len(row) - width for row in whole}
    is_one = len(more) == 1 and not any(any(row[width:]) for row in whole)
    return max(0, *more) if is_one else 0


def _columns(
    names: Sequence[str], rows: Sequence[Sequence[str]], wanted: Sequence[str]
) -> list[list[str]]:
    """The cells of the wanted columns, or of all."""
    chosen = set(matched(names, wanted).values()) or set(range(len(names)))
    return [[row[at] for row in rows if at < len(row)] for at in sorted(chosen)]
