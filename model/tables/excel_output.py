"""A table written as Excel's .xlsx. Nothing but the writer of such a file imports this."""

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, BinaryIO, Final

import msgspec
import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from model.tables.errors import TableRefused

_EXCEL_ROWS: Final = 1_048_576
_TOO_MANY: Final = "Excel holds at most 1,048,575 rows: name a .csv or .parquet file"


class ExcelWriter:
    """Writes rows of values to the only sheet of a new book."""

    def __init__(self, file: BinaryIO, names: Sequence[str], sheet: str) -> None:
        """`names` are those of the columns, for the first row."""
        self._file = file
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
        made = io.BytesIO()
        self._book.save(made)
        self._file.write(made.getbuffer())

    def abandon(self) -> None:
        """Remove the temporary file in which openpyxl keeps the rows until the book is written."""
        self._sheet.close()
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
