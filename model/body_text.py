"""The bytes of a body as text: its encoding, the mark before it, whether it is an array.

Light: the service's first process imports it before it limits the threads of numerical libraries.
"""

from codecs import BOM_UTF8, BOM_UTF16_LE
from typing import Final

from model.errors import NotUtf8

# What may stand before an array's bracket: blanks, the quote of an encoded one, marks of UTF-8,
# which is passed over, and of UTF-16, which is refused, but for what it is.
_BEFORE: Final = b' \t\r\n"\0' + BOM_UTF8 + BOM_UTF16_LE


def is_array(body: bytes) -> bool:
    """Whether a body is an array, encoded once more as a string perhaps."""
    return body.lstrip(_BEFORE)[:1] == b"["


def bare_of_mark(body: bytes) -> bytes:
    """A body without the one mark of UTF-8 that may stand before it."""
    bare = body.removeprefix(BOM_UTF8)
    return body if bare.startswith(BOM_UTF8) else bare


def text_of(body: bytes) -> str:
    """The text of a body that should be JSON. Raises NotUtf8.

    JSON begins with two characters of ASCII: where a NUL is near, it is UTF-16 or UTF-32.
    """
    if b"\0" in body[:4]:
        raise NotUtf8
    try:
        return body.decode()
    except UnicodeError:
        raise NotUtf8 from None
