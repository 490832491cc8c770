"""The secrets of the log, as files of one folder: month keys, the key of the index, the log's key.

A process that needs a secret makes it if there is none; of several at once, the first one's stays.
"""

import errno
import hmac
import os
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.decisions.merkle.note import Signer
from service.decisions.sealing import KEY_BYTES

_INDEX: Final = "index.key"
_LOG: Final = "log.key"


class MissingKey(Exception):
    """A secret that was there once is not: what it sealed can't be read."""


class Secrets:
    """The secrets in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.month_key = cache(self._month_key)
        # Called for each entry: to make a path takes longer than to look for the file.
        self._path = cache(folder.joinpath)

    def signer(self, origin: str) -> Signer:
        """What signs the checkpoints of the log of this name."""
        return Signer(origin, Ed25519PrivateKey.from_private_bytes(self._secret(_LOG)))

    def index_of(self, subject: str) -> bytes:
        """What a person's mark, such as a plate, is called in the index."""
        return hmac.digest(self._index_key, subject.encode(), "sha256")

    @cached_property
    def _index_key(self) -> bytes:
        return self._secret(_INDEX)

    def make(self) -> None:
        """Make those of a new log. Raises OSError."""
        for name in (_INDEX, _LOG):
            self._secret(name)

    def lost(self) -> str:
        """The first secret of a log that is not there, by its path, "" if none lacks."""
        lacking = (path for name in (_INDEX, _LOG) if not (path := self._path(name)).exists())
        return str(next(lacking, ""))

    def known_month_key(self, month: str) -> bytes:
        """The key of a month. Raises MissingKey if there is none."""
        if not self._path(f"{month}.key").exists():
            raise MissingKey(month)
        return self.month_key(month)

    def _month_key(self, month: str) -> bytes:
        return self._secret(f"{month}.key")

    def _secret(self, name: str) -> bytes:
        path = self._path(name)
        with suppress(FileNotFoundError):
            return _whole(path)
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = path.with_name(f".{name}.{os.getpid()}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(aside, path)
        finally:
            aside.unlink()
        return _whole(path)


def _whole(path: Path) -> bytes:
    """A secret of the full length. Raises OSError for a part of one, which would seal poorly."""
    content = path.read_bytes()
    if len(content) != KEY_BYTES:
        raise OSError(errno.EIO, "is no whole key", str(path))
    return content
