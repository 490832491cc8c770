"""API keys: who is calling, and whether a text holds a key.

Keys are held as SHA-256 digests only, and looked up by them.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from model.utf8 import NotUtf8File, file_text
from service.config.addresses import is_loopback
from service.config.settings import EXAMPLE_KEY, Settings, SettingsError, variable
from service.http.key_guesses import Guesses

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
# What a header can carry.
_KEY: Final = re.compile(r"[!-~]+")
_SEPARATOR: Final = re.compile(r"[,\n]")
_MORE_THAN_ONE: Final = re.compile(r"[\s,]")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
# Shorter secrets stand in many a text by chance.
LEAST_SEARCHED: Final = 8
NOT_THE_EXAMPLE: Final = "the example key may serve on loopback only: make one of your own"

log = logging.getLogger("scoring")


class BadKeys(ValueError):
    """Keys that can't be used; the text names no key."""


class Known(NamedTuple):
    """What is held of a key beside its digest: whose it is, and what finds it in a text.

    `hashed` is Python's own hash, keyed anew in each process: nobody can go back from it.
    """

    name: str
    length: int
    hashed: int


class ApiKeys:
    """The callers' keys: those of the settings and those of the keys file.

    The file is looked at once a second, and read again when it has changed. A file
    that can't be read, holds no usable key or is cut off leaves the keys of the last good one
    in force.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError when there is no key, or an example key on an open address."""
        self._open = not is_loopback(settings.host)
        self._path = Path(settings.api_keys_file) if settings.api_keys_file else None
        try:
            self._fixed = digests_of(entries(settings.api_keys), example_allowed=not self._open)
            if settings.api_keys and not self._fixed:
                raise BadKeys("it holds no key")  # noqa: TRY301 - told as the others are
        except BadKeys as error:
            raise SettingsError(variable("api_keys"), str(error)) from None
        self._put_in_force(self._fixed)
        self._stamp: tuple[int, ...] | None = None
        self._complaint = ""
        self._ends_its_lines = False
        # Told of each look that took the file ("loaded") or found it of no use ("refused").
        self.count: Callable[[str], None] = lambda _: None
        self.guesses = Guesses()
        if self._path:
            self._load_first()

    def judge(
        self, addresses: Iterable[tuple[Any, ...] | str | bytes], *, strict: bool = False
    ) -> None:
        """Take the example key out of force when a socket at one of the addresses is open.

        Addresses are those of `getsockname`. The settings' host is not the last word: gunicorn
        may be given others, or sockets by systemd. `strict` raises SettingsError instead.
        """
        hosts = [address[0] for address in addresses if isinstance(address, tuple)]
        if all(map(is_loopback, hosts)):
            return
        self._open = True
        if sha256(EXAMPLE_KEY.encode()).digest() not in self._digests:
            return
        if strict:
            raise SettingsError(variable("api_keys"), NOT_THE_EXAMPLE)
        log.error("The example key is not in force: %s", NOT_THE_EXAMPLE)
        for keys in (self._fixed, self._digests):
            keys.pop(sha256(EXAMPLE_KEY.encode()).digest(), None)
        self._put_in_force(self._digests)

    @property
    def names(self) -> list[str]:
        """The names of the callers that have keys now."""
        return sorted({key.name for key in self._digests.values()})

    def name_of(self, key: bytes) -> str | None:
        """The name of the caller that this key belongs to, None if it is nobody's.

        The time that a look-up takes depends on the digest, of which a guess tells nothing.
        """
        return self._names.get(sha256(key).digest())

    def is_in(self, text: str) -> bool:
        """Whether a text is a key or holds one: each part that is as long as a key is looked up."""
        if self.name_of(text.encode()) is not None:
            return True
        return any(
            hash(text[at : at + length]) in hashes
            for length, hashes in self._hashes.items()
            for at in range(len(text) - length + 1)
        )

    def _put_in_force(self, digests: dict[bytes, Known]) -> None:
        hashes = defaultdict(set)
        for key in digests.values():
            if key.length >= LEAST_SEARCHED:
                hashes[key.length].add(key.hashed)
        self._digests, self._hashes = digests, dict(hashes)
        self._names = {digest: key.name for digest, key in digests.items()}

    def _load_first(self) -> None:
        try:
            self._read_file()
        except (OSError, ValueError) as error:
            reason = f"{self._path}: {_reason(error)}"
            raise SettingsError(variable("api_keys_file"), reason) from None

    def reload_if_changed(self) -> None:
        """Read the file again if it has changed; called once a second."""
        if not self._path:
            return
        try:
            changed = self._read_file()
        except (OSError, ValueError) as error:
            self._complain(_reason(error))
            return
        self._complaint = ""
        if changed:
            self.count("loaded")
            log.info("The API keys file has changed: %d keys in force", len(self._digests))

    def _complain(self, reason: str) -> None:
        """Say once what is wrong with the file, not once a second; count each look."""
        self.count("refused")
        if reason != self._complaint:
            self._complaint = reason
            log.warning("The API keys file can't be used, the old keys stay: %s", reason)

    def _read_file(self) -> bool:
        """Whether the file was read: False when it has not changed since."""
        path = self._path
        if path is None:
            return False
        status = path.stat()
        # The time of the last change of rights too: a file may become readable.
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return False
        text = file_text(path.read_bytes())
        keys = digests_of(entries_of_file(text), example_allowed=not self._open)
        if not keys:
            raise BadKeys("it holds no key")
        # A half of a key looks like a key: only the end of its line is missed.
        ends_its_lines = text.endswith("\n")
        if self._ends_its_lines and not ends_its_lines:
            raise BadKeys("its last line has no end, as if it were cut off")
        self._ends_its_lines = ends_its_lines
        self._put_in_force({**self._fixed, **keys})
        self._stamp = stamp
        return True


def digests_of(pairs: Iterable[tuple[str, str]], *, example_allowed: bool) -> dict[bytes, Known]:
    """What is held of (name, key) pairs, by the SHA-256 digest of the key. Raises BadKeys."""
    keys: dict[bytes, Known] = {}
    for name, key in pairs:
        if key == EXAMPLE_KEY and not example_allowed:
            raise BadKeys(NOT_THE_EXAMPLE)
        keys[sha256(key.encode()).digest()] = Known(name, len(key), hash(key))
    return keys


def entries(text: str) -> Iterator[tuple[str, str]]:
    """The (name, key) pairs of a setting: `name:key` or a bare key, commas or lines between.

    A bare key is named after its place: key-1 and so on. Raises BadKeys.
    """
    words = (word.strip() for word in _SEPARATOR.split(text))
    for place, word in enumerate(filter(None, words), start=1):
        yield _pair(word, f"entry {place}", f"key-{place}")


def entries_of_file(text: str) -> Iterator[tuple[str, str]]:
    """The (name, key) pairs of a keys file: one a line, with comments. Raises BadKeys."""
    place = 0
    # Not splitlines: what it takes for the end of a line besides would part a line in two keys.
    for number, line in enumerate(text.split("\n"), start=1):
        if word := _COMMENT.sub("", line).strip():
            place += 1
            yield _pair(word, f"line {number}", f"key-{place}")


def _pair(word: str, where: str, usual_name: str) -> tuple[str, str]:
    if _MORE_THAN_ONE.search(word):
        raise BadKeys(f"{where} holds more than one word: it is name:key or a bare key")
    name, colon, key = word.partition(":")
    if not colon:
        name, key = usual_name, word
    if not _NAME.fullmatch(name):
        raise BadKeys(f"the name in {where} may hold letters, digits, . _ - only")
    if not _KEY.fullmatch(key):
        raise BadKeys(f"the key in {where} must be printable ASCII and not empty")
    return name, key


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it can't be read"
    return str(error) if isinstance(error, BadKeys | NotUtf8File) else "it can't be read"
