"""Where API keys come from: the setting, and a keys file that may change."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from model.utf8 import file_text

Pair = tuple[str, str]

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
# What a header can carry.
_KEY: Final = re.compile(r"[!-~]+")
_SEPARATOR: Final = re.compile(r"[,\n]")
_MORE_THAN_ONE: Final = re.compile(r"[\s,]")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")


class BadKeys(ValueError):
    """Keys that can't be used; the text names no key."""


class Known(NamedTuple):
    """What is kept of a key in addition to its digest: its caller, and what finds it in a text.

    `hashed` is Python's own hash, keyed anew in each process: it can't be reversed.
    """

    name: str
    length: int
    hashed: int


class KeysFile:
    """A keys file, read again when it has changed."""

    def __init__(
        self, path: Path, digested: Callable[[Iterable[Pair]], dict[bytes, Known]]
    ) -> None:
        """`digested` checks the pairs of a file, and turns them into what is kept of them."""
        self.path = path
        self._digested = digested
        self._stamp: tuple[int, ...] | None = None
        self._ends_its_lines = False

    def read_if_changed(self) -> dict[bytes, Known] | None:
        """The keys of a file that has changed since the last good read, otherwise None.

        Raises OSError, or ValueError for a file that can't be used.
        """
        status = self.path.stat()
        # The time of the last change of rights too: a file may become readable.
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return None
        text = file_text(self.path.read_bytes())
        keys = self._digested(entries_of_file(text))
        if not keys:
            raise BadKeys("it holds no key")
        # Half of a key looks like a key: only the missing end of its line shows it.
        ends_its_lines = text.endswith("\n")
        if self._ends_its_lines and not ends_its_lines:
            raise BadKeys("its last line has no end, as if it were cut off")
        self._ends_its_lines, self._stamp = ends_its_lines, stamp
        return keys


def entries(text: str) -> Iterator[Pair]:
    """The (name, key) pairs of a setting: `name:key` or a bare key, separated by commas or lines.

    A bare key is named after its position: key-1 and so on. Raises BadKeys.
    """
    parts = (part.strip() for part in _SEPARATOR.split(text))
    for number, part in enumerate(filter(None, parts), start=1):
        yield _pair(part, f"entry {number}", f"key-{number}")


def entries_of_file(text: str) -> Iterator[Pair]:
    """The (name, key) pairs of a keys file: one a line, with comments. Raises BadKeys."""
    count = 0
    # Not splitlines: it also splits at characters that would cut a line into two keys.
    for number, line in enumerate(text.split("\n"), start=1):
        if entry := _COMMENT.sub("", line).strip():
            count += 1
            yield _pair(entry, f"line {number}", f"key-{count}")


def _pair(entry: str, where: str, usual_name: str) -> Pair:
    if _MORE_THAN_ONE.search(entry):
        raise BadKeys(f"{where} holds more than one word: it is name:key or a bare key")
    name, colon, key = entry.partition(":")
    if not colon:
        name, key = usual_name, entry
    if not _NAME.fullmatch(name):
        raise BadKeys(f"the name in {where} may hold letters, digits, . _ - only")
    if not _KEY.fullmatch(key):
        raise BadKeys(f"the key in {where} must be printable ASCII and not empty")
    return name, key
