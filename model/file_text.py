"""The bytes of a file as text: UTF-8, with or without the mark that some editors put before it."""

from typing import Final

from model.body_text import bare_of_mark

UTF16: Final = "it looks like UTF-16, not UTF-8"


class NotUtf8Text(UnicodeError):
    """A file in another encoding; the text says which, where it shows, and repeats nothing."""


def bare(content: bytes) -> bytes:
    """UTF-8 without its one mark. Raises NotUtf8Text."""
    if looks_like_utf16(content):
        raise NotUtf8Text(UTF16)
    bare = bare_of_mark(content)
    try:
        bare.decode()
    except UnicodeError:
        raise NotUtf8Text("it is not UTF-8 text") from None
    return bare


def text_of(content: bytes) -> str:
    """The text of these bytes, without its one mark. Raises NotUtf8Text."""
    return bare(content).decode()


def looks_like_utf16(content: bytes) -> bool:
    """Whether there are NUL bytes, of which every ASCII character has one in UTF-16."""
    return b"\0" in content
