"""A table written as Excel's .xlsx. Nothing but the writer of such a file imports this."""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec
import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from model.tables.errors import TableRefused

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_EXCEL_ROWS: Final = 1_048_576
_TOO_MANY: Final = "Excel holds at most 1,048,575 rows: name a .csv or .parquet file"


class ExcelWriter:
    """Writes rows of values to the only sheet of a new book."""

    def __init__(
        self, file: BinaryIO, names: Sequence[str], sheet: str, look: Callable[[], None]
    ) -> None:
        """`names` are those of the columns, for the first row.

        `look` is called often while the book is packed; what it raises ends that.
        """
        self._file = file
        self._look = look
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet(sheet)
        self._rows = 1
        self._sheet.append(names)

    def write(self, content: Sequence[Sequence[Any]], /) -> None:
        """Write rows. Raises TableRefused for more than Excel holds."""
        self._rows += len(content)
        if self._rows > _EXCEL_ROWS:
            raise TableRefused(_TOO_MANY)
        for row in content:
            self._sheet.append([self._cell(value) for value in row])

    def close(self) -> None:
        """Write the book; the file stays open."""
        made = _Packed(self._look)
        try:
            self._book.save(made)
        except BaseException:
            self.abandon()
            raise
        self._file.write(made.getbuffer())

    def abandon(self) -> None:
        """Remove the temporary file in which openpyxl keeps the rows until the book is written."""
        if not self._sheet.closed:
            self._sheet.close()
        with suppress(FileNotFoundError):  # it is packed
            self._sheet._writer.cleanup()  # noqa: SLF001 - it has no public name

    def _cell(self, value: Any) -> Any:
        if isinstance(value, float):
            # openpyxl would write sixteen digits, which are not always enough.
            return self._of_type(repr(value), "n")
        if isinstance(value, str):
            return self._of_type(ILLEGAL_CHARACTERS_RE.sub("\ufffd", value), "s")
        if isinstance(value, list | dict):
            return self._of_type(msgspec.json.encode(value).decode(), "s")
        if isinstance(value, datetime) and value.tzinfo:  # Excel has no zones
            return self._of_type(str(value), "s")
        return value

    def _of_type(self, text: str, kind: str) -> Any:
        # A text that begins with "=" is not a formula.
        cell = WriteOnlyCell(self._sheet, text)
        cell.data_type = kind
        return cell


class _Packed(io.BytesIO):
    """The book as it is packed. After an end no part of it looks again: zipfile writes its last."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look: Callable[[], None] | None = look

    def write(self, data: "ReadableBuffer", /) -> int:
        """Look, and write."""
        if look := self._look:
            self._look = None
            look()
            self._look = look
        return super().write(data)
