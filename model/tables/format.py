"""How a file of rows is written: found out from its beginning, or as options say."""

import argparse
import codecs
import csv
import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from charset_normalizer import from_bytes

from model.tables.columns import matched
from model.tables.errors import TableRefused

Kind = Literal["CSV", "JSON lines", "Parquet", "Excel"]

# Of a file's beginning, from which its format is found out.
SAMPLE_BYTES: Final = 256 * 1024
SEPARATORS: Final = (",", ";", "\t", "|")
_NAMES: Final = {"tab": "\t", "\\t": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}
_SHOWN: Final = {"\t": "a tab"}
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
# What other files begin with, and what to do with such a file.
_OTHERS: Final = (
    (b"\xd0\xcf\x11\xe0", "it looks like an old Excel file (.xls): save it as .xlsx or CSV"),
    (b"BZh", "it looks compressed by bzip2: decompress it first, or use gzip"),
    (b"\xfd7zXZ", "it looks compressed by xz: decompress it first, or use gzip"),
    (b"\x28\xb5\x2f\xfd", "it looks compressed by zstd: decompress it first, or use gzip"),
    (b"Rar!", "it looks like a RAR archive: unpack it first"),
    (b"7z\xbc\xaf", "it looks like a 7z archive: unpack it first"),
    (b"\x89PNG", "it looks like a PNG picture: a table is wanted"),
    (b"\xff\xd8\xff", "it looks like a JPEG picture: a table is wanted"),
    (b"GIF8", "it looks like a GIF picture: a table is wanted"),
    (b"%PDF", "it looks like a PDF: export the table as CSV"),
    (b"SQLite format 3", "it looks like an SQLite database: export the table as CSV"),
    (b"ARROW1", "it looks like an Arrow file: save it as Parquet"),
    (b"\x89PNG", f"it looks like a picture (PNG): {_NO_ROWS}"),
    (b"\xff\xd8\xff", f"it looks like a picture (JPEG): {_NO_ROWS}"),
    (b"GIF8", f"it looks like a picture (GIF): {_NO_ROWS}"),
    (b"\x93NUMPY", "it looks like a numpy array: write the table as CSV or Parquet"),
    (b"\x80\x04\x95", "it looks like a Python pickle: write the table as CSV or Parquet"),
    (b"\x80\x05\x95", "it looks like a Python pickle: write the table as CSV or Parquet"),
    (b"CBM1", "it looks like a CatBoost model: name it by --model, and here a file of rows"),
    (b"{\\rtf", "it looks like a text document (RTF): export the table as CSV"),
)
# Where the archiver tar puts its sign.
_TAR: Final = slice(257, 262)
GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_ZIP: Final = b"PK\x03\x04"

_DAY_FIRST: Final = re.compile(r"(?<![\d.])\d\d?\.\d\d?\.\d{4}[ T]+\d\d?:\d\d")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WITH_POINT: Final = re.compile(r"-?\d+\.\d+(?:[eE][-+]?\d+)?")
_WITH_COMMA: Final = re.compile(r"-?\d*,\d+(?:[eE][-+]?\d+)?")
_LIST_OF_POINTS: Final = re.compile(r"\s*\[[^\]]*\d\.\d[^\]]*\]\s*")
_LIST_OF_COMMAS: Final = re.compile(r"\s*\[[^\].]*\d,\d[^\].]*\]\s*")


class Options(NamedTuple):
    """What a person says about a file; "" is for what is to be found out.

    `sep` separates the cells of CSV, `encoding` is a codec of Python's, `decimal` is `.` or `,`.
    """

    sep: str = ""
    encoding: str = ""
    decimal: str = ""


# Nothing is said.
SNIFFED: Final = Options()


class Format(NamedTuple):
    """How a file is written.

    `sep`, `encoding`, and `decimal` are those of its text: "" in Parquet and Excel.
    `list_decimal` is the sign before the decimals within lists of numbers: exports with decimal
    commas often leave lists as they are. `day_first`: times stand as 1.08.2021 9:02.
    """

    kind: Kind
    sep: str = ""
    encoding: str = ""
    decimal: str = "."
    list_decimal: str = "."
    day_first: bool = False
    gzip: bool = False

    def __str__(self) -> str:
        """What was found, such as "CSV separated by ';', cp1251, decimal commas"."""
        parts: list[str] = [self.kind]
        if self.kind == "CSV":
            parts = [f"CSV separated by {_SHOWN.get(self.sep, repr(self.sep))}"]
        if self.encoding:
            parts.append(self.encoding)
        if self.decimal == ",":
            parts.append("decimal commas")
        if self.day_first:
            parts.append("times with the day first")
        if self.gzip:
            parts.append("gzip")
        return ", ".join(parts)

    def place(self, number: int) -> str:
        """A place in the file for messages: text has lines, Parquet and Excel have rows."""
        return f"{'line' if self.encoding else 'row'} {number}"

    @property
    def is_plain(self) -> bool:
        """Whether it is the form that needs no word: CSV with commas in UTF-8."""
        return self in (Format("CSV", ",", "utf-8"), Format("CSV", ",", "utf-8-sig"))


def add_format_options(parser: argparse._ActionsContainer) -> None:
    """Add --sep, --encoding and --decimal, which `options_of` reads."""
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


def options_of(options: argparse.Namespace) -> Options:
    """The options that `add_format_options` added."""
    return Options(options.sep or "", options.encoding or "", options.decimal or "")


def _separator(text: str) -> str:
    sep = _NAMES.get(text.lower(), text)
    if sep not in SEPARATORS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of , ; | and tab")
    return sep


def _encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except LookupError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no encoding") from error


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


def text_format(sample: bytes, options: Options, wanted: Sequence[str]) -> Format:
    """The format of a text file that begins with a sample, in which these columns are wanted.

    What the options say is taken as said. Raises TableRefused for what can't be a table.
    """
    encoding = options.encoding or encoding_of(sample)
    text = decoded(sample, encoding)
    begin = text.lstrip("\ufeff \t\r\n")[:1]
    if begin == "{" and not options.sep:
        return Format("JSON lines", encoding=encoding)
    if begin == "[" and not options.sep:
        raise TableRefused("it looks like a JSON array: write one object to a line (JSON lines)")
    if begin == "<":
        raise TableRefused("it looks like HTML or XML: export the table as CSV")
    if text.removeprefix("\ufeff")[:4].lower() == "sep=":
        raise TableRefused("its first line is for Excel alone (sep=): delete it")
    if "\r" in text and "\n" not in text:
        raise TableRefused("its lines end with CR, as on old Macs: save it with line feeds")
    sep = options.sep or _separator_of(text, wanted)
    decimal, list_decimal = _decimals(text, sep, wanted)
    if options.decimal == ".":
        decimal = list_decimal = "."
    day_first = _DAY_FIRST.search(text) is not None
    return Format("CSV", sep, encoding, options.decimal or decimal, list_decimal, day_first)


def encoding_of(sample: bytes) -> str:
    """The encoding of a text, by its beginning.

    Lines that are not UTF-8 among others that are do not make it another encoding: these rows are
    bad. Raises TableRefused for what is no text.
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


def _separator_of(text: str, wanted: Sequence[str]) -> str:
    header = next(iter(text.removeprefix("\ufeff").splitlines()), "")

    def fits(sep: str) -> tuple[int, int]:
        try:
            names = next(csv.reader([header], delimiter=sep), [])
        except csv.Error:
            return 0, 0
        return len(matched(names, wanted)), len(names)

    return max(SEPARATORS, key=fits)


def _decimals(text: str, sep: str, wanted: Sequence[str]) -> tuple[str, str]:
    """The sign before decimals in numbers, and the one in lists."""
    rows = csv.reader(text.splitlines()[:_SAMPLE_ROWS], delimiter=sep)
    try:
        table = list(rows)
    except csv.Error:
        return ".", "."
    names, *cells = table or [[]]
    chosen = set(matched(names, wanted).values()) or set(range(len(names)))
    cut = [cell for row in cells for at, cell in enumerate(row) if at in chosen]
    points = any(_WITH_POINT.fullmatch(cell) for cell in cut)
    commas = any(_WITH_COMMA.fullmatch(cell) for cell in cut)
    if points or not commas:
        return ".", "."
    lists = any(_LIST_OF_POINTS.fullmatch(cell) for cell in cut)
    list_commas = any(_LIST_OF_COMMAS.fullmatch(cell) for cell in cut)
    return ",", "," if list_commas and not lists else "."
