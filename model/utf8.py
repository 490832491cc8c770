"""Bytes as text: UTF-8 with or without a byte order mark, in request bodies and in files.

Light: the service's first process imports it before it limits the threads of numerical libraries.
"""

from codecs import BOM_UTF8, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Iterator
from typing import Final

from model.errors import NotUtf8

UTF16: Final = "it looks like UTF-16, not UTF-8"
# What may precede an array's bracket: blanks, the quote of an encoded array, and byte order marks;
# the one of UTF-16 so that such a body is refused for its encoding.
_BEFORE_ARRAY: Final = b' \t\r\n"\0' + BOM_UTF8 + BOM_UTF16_LE


class NotUtf8File(UnicodeError):
    """A file in another encoding; the message names the encoding if it is evident, no content."""


def is_array(body: bytes) -> bool:
    """Whether a body is a JSON array, possibly encoded once more as a string."""
    return body.lstrip(_BEFORE_ARRAY)[:1] == b"["


def without_bom(content: bytes) -> bytes:
    """UTF-8 without its byte order mark; two marks are left, for the decoder to refuse."""
    bare = content.removeprefix(BOM_UTF8)
    return content if bare.startswith(BOM_UTF8) else bare


def body_text(body: bytes) -> str:
    """The text of a body that should be JSON. Raises NotUtf8.

    JSON begins with two ASCII characters: a NUL among the first bytes means UTF-16 or UTF-32.
    """
    if b"\0" in body[:4]:
        raise NotUtf8
    try:
        return body.decode()
    except UnicodeError:
        raise NotUtf8 from None


def checking(body: bytes | memoryview, step: int) -> Iterator[None]:
    """Check the same of a long body, so many bytes in each step. Raises NotUtf8."""
    if b"\0" in bytes(body[:4]):
        raise NotUtf8
    decoder = getincrementaldecoder("utf-8")()
    try:
        for begin in range(0, len(body), step):
            decoder.decode(body[begin : begin + step])
            yield
        decoder.decode(b"", final=True)
    except UnicodeError:
        raise NotUtf8 from None


def file_text(content: bytes) -> str:
    """The text of a file without its byte order mark. Raises NotUtf8File."""
    if looks_like_utf16(content):
        raise NotUtf8File(UTF16)
    try:
        return without_bom(content).decode()
    except UnicodeError:
        raise NotUtf8File("it is not UTF-8 text") from None


def looks_like_utf16(content: bytes) -> bool:
    """Whether there are NUL bytes: each ASCII character has one in UTF-16."""
    return b"\0" in content
