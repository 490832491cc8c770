"""Bodies with files of pictures: first read as JSON, then the pictures are decoded one by one."""

from collections.abc import Callable, Iterator
from typing import Final, Generic, NoReturn, TypeVar

from msgspec import Struct

from model.errors import InvalidRequest
from model.pictures.decoder import LIMITS
from model.request_decoder import RequestDecoder

T = TypeVar("T", bound=Struct)
R = TypeVar("R")

# Pictures in an array: each may take a second to decode.
MOST_PICTURES: Final = 64
# A row of an array, in bytes: base64 makes four of three.
LONGEST: Final = LIMITS.file_bytes * 4 // 3 + 1024


class PictureDecoder(Generic[T, R]):
    """Reads bodies whose rows are structs with a file, and makes requests of them.

    All of a body is read and counted before the first picture is decoded, and an array yields a
    request at a time, so that a server can answer others in between.
    """

    def __init__(self, kind: type[T], made: Callable[[T], R], max_rows: int) -> None:
        """`made` decodes the file of a row, and raises InvalidRequest."""
        self._rows = RequestDecoder(kind, _no_hook, min(max_rows, MOST_PICTURES), LONGEST)
        self._made = made

    def __call__(self, body: bytes) -> R | list[R | InvalidRequest]:
        """One request, or those of an array, each unreadable one in its place.

        Raises InvalidRequest when nothing in the body can be read; NoDecoder.
        """
        rows = self._rows(body)
        return [self._request(row) for row in rows] if isinstance(rows, list) else self._made(rows)

    def files(self, body: bytes) -> T | list[T | InvalidRequest]:
        """The same with the files as they were sent, for who has them decoded elsewhere."""
        return self._rows(body)

    def slices(self, body: bytes) -> Iterator[list[R | InvalidRequest]]:
        """The requests of an array in order, one in a step or none. Raises as a call does."""
        rows: list[T | InvalidRequest] = []
        for read in self._rows.slices(body):
            rows += read
            yield []
        for row in rows:
            yield [self._request(row)]

    def _request(self, row: T | InvalidRequest) -> R | InvalidRequest:
        if isinstance(row, InvalidRequest):
            return row
        try:
            return self._made(row)
        except InvalidRequest as fault:
            fault.__traceback__ = fault.__context__ = None  # their frames would keep the file
            return fault


def _no_hook(kind: type, _value: object) -> NoReturn:
    raise NotImplementedError(kind.__name__)
