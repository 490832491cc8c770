"""Files and streams opened for reading: decompressed, in UTF-8, their format found out."""

import codecs
import errno
import gzip
import io
import shutil
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Final

from model.tables.errors import TableRefused
from model.tables.format import (
    GZIP,
    SAMPLE_BYTES,
    Format,
    binary_kind,
    decoded,
    encoding_of,
    text_format,
)
from model.tables.options import SNIFFED, Options, text_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import WriteableBuffer

STREAM: Final = Path("-")
_BUFFER: Final = 1 << 20
_UTF8: Final = ("utf-8", "utf-8-sig")


@dataclass
class Source:
    """An open file: `stream` gives its text in UTF-8, or the bytes of Parquet and Excel.

    `sample` is the text's beginning in UTF-8. `size` is the file's in bytes, None if it is not
    known.
    """

    format: Format
    stream: BinaryIO
    sample: bytes
    size: int | None
    _raw: BinaryIO
    _read: int = 0

    def read_more(self) -> int:
        """How many bytes of the file were read since the last call, 0 if it is not known."""
        if self.size is None:
            return 0
        before, self._read = self._read, self._raw.tell()
        return self._read - before


@contextmanager
def open_source(
    path: Path | BinaryIO, options: Options = SNIFFED, wanted: "Sequence[str]" = ()
) -> Iterator[Source]:
    """Open a file in which these columns are wanted; `-` is standard input.

    Raises OSError, and TableRefused: what the file seems to be, and what to do.
    """
    with _opened(path) as raw:
        seekable = raw.seekable() and raw is not _stdin()
        size = _size(raw) if seekable else None
        head = raw.read(SAMPLE_BYTES)
        packed = head.startswith(GZIP)
        stream = _from_start(head, raw, seekable=seekable)
        if packed:
            unpacked: BinaryIO = _Unpacked(stream)  # type: ignore[assignment]
            head = unpacked.read(SAMPLE_BYTES)
            stream = _from_start(head, unpacked, seekable=False)
        kind = binary_kind(head)
        if kind:
            found = Format(kind, gzip=packed)
            with _seekable(stream, is_so=seekable and not packed) as file:
                yield Source(found, file, b"", size=size, _raw=raw)
            return
        encoding = options.encoding or encoding_of(head)
        try:
            text = decoded(head, encoding)
        except UnicodeError as error:
            raise _not_in(encoding) from error
        # Of old Macs, and of their Excel until today.
        lone_returns = "\r" in text and "\n" not in text
        if lone_returns:
            text = text.replace("\r", "\n")
        is_cut = len(head) == SAMPLE_BYTES
        found = text_format(text, encoding, options, wanted, is_cut=is_cut)._replace(gzip=packed)
        is_utf8 = encoding in _UTF8 and not lone_returns
        if not is_utf8:
            recoded = _Recoded(stream, encoding, lone_returns=lone_returns)
            stream = io.BufferedReader(recoded, _BUFFER)
        sample = head if is_utf8 else text.encode(errors="replace")
        yield Source(found, stream, sample, size=size, _raw=raw)


@contextmanager
def open_seekable(path: Path) -> Iterator[BinaryIO]:
    """A file, `-` for standard input, that can be read twice; a pipe is copied. Raises OSError."""
    with _opened(path) as raw, _seekable(raw, is_so=raw.seekable()) as file:
        yield file


@contextmanager
def _opened(path: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(path, Path):
        yield path
    elif path == STREAM:
        if (stdin := _stdin()) is None:  # python could not open it
            raise OSError(errno.EBADF, "it is closed")
        yield stdin
    else:
        with path.open("rb", buffering=_BUFFER) as file:
            yield file


def _stdin() -> BinaryIO | None:
    return sys.stdin.buffer if sys.stdin is not None else None


def _size(file: BinaryIO) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


def _from_start(head: bytes, rest: BinaryIO, *, seekable: bool) -> BinaryIO:
    """A stream of all that was read and what follows."""
    if seekable:
        rest.seek(0)
        return rest
    return io.BufferedReader(_Rejoined(head, rest), _BUFFER)


@contextmanager
def _seekable(stream: BinaryIO, *, is_so: bool) -> Iterator[BinaryIO]:
    """The same bytes as a file that can be read in any order."""
    if is_so:
        yield stream
        return
    with TemporaryFile() as file:
        shutil.copyfileobj(stream, file)
        file.seek(0)
        yield file


class _Rejoined(io.RawIOBase):
    """Bytes that were read already, and those that follow."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        into = memoryview(buffer)
        part = self._head[: len(into)]
        if part:
            self._head = self._head[len(part) :]
        else:
            part = memoryview(self._rest.read(len(into)))
        into[: len(part)] = part
        return len(part)


class _Unpacked(gzip.GzipFile):
    """What a gzip file holds."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__(fileobj=packed, mode="rb")

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TableRefused("its gzip data are damaged or incomplete") from error


class _Recoded(io.RawIOBase):
    """A text in UTF-8. A byte that its encoding lacks stays one that is not UTF-8.

    With `lone_returns` its lines end with carriage returns, which become line feeds.
    """

    def __init__(self, stream: BinaryIO, encoding: str, *, lone_returns: bool) -> None:
        self._stream = stream
        self._lone_returns = lone_returns
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(errors=text_errors(encoding))
        self._left = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while not self._left and not self._ended:
            part = self._stream.read(_BUFFER)
            self._ended = not part
            try:
                text = self._decoder.decode(part, final=self._ended)
            except UnicodeError as error:
                raise _not_in(self._encoding) from error
            if self._lone_returns:
                text = text.replace("\r", "\n")
            self._left = memoryview(text.encode(errors="surrogateescape"))
        into = memoryview(buffer)
        given = self._left[: len(into)]
        into[: len(given)] = given
        self._left = self._left[len(given) :]
        return len(given)


def _not_in(encoding: str) -> TableRefused:
    reason = f"it can't be read as {encoding}"
    if encoding in {"utf-16", "utf-32"}:
        reason += f", as it has no byte order mark: name {encoding}-le or {encoding}-be"
    return TableRefused(reason)
