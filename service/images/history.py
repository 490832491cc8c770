"""The history of pictures: what was answered, and the pictures as PNG files.

Each key has a history of its own, bounded in entries and in bytes; its oldest entries go first. All
histories together are bounded in bytes, too: then the key whose pictures take the most loses its
oldest entry, so no key can push out pictures of one that keeps less. A picture goes with the last
entry that shows it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple, Self

from service.config.settings import Settings


class HistoryUnavailable(Exception):
    """The history can't be read or written now."""


class Entry(NamedTuple):
    """One answer. `score` is the model's, as JSON has it; `bytes` are those of the picture."""

    id: int
    owner: str
    model: str
    query: str
    version: str
    score: dict[str, Any]
    digest: str
    bytes: int
    created: float

    @property
    def url(self) -> str:
        """The address of the picture."""
        return f"/uploads/{self.digest}.png"


class New(NamedTuple):
    """An answer to be kept."""

    owner: str
    model: str
    query: str
    version: str
    score: dict[str, Any]
    png: bytes
    created: float

    def entry(self, number: int = 0) -> Entry:
        """What is kept of it."""
        digest = sha256(self.png).hexdigest()
        return Entry(number, *self[:5], digest, len(self.png), self.created)


class Bounds(NamedTuple):
    """How much is kept."""

    entries: int
    """For each key."""
    key_bytes: int
    """Of the pictures of each key."""
    all_bytes: int
    """Of the pictures of all keys."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return those of the settings."""
        key_mb, all_mb = settings.history_key_mb, settings.history_mb
        return cls(settings.history_entries, key_mb << 20, all_mb << 20)


class History(ABC):
    """The history of all keys, for all threads of a process; each key sees its own.

    Each method raises HistoryUnavailable.
    """

    @abstractmethod
    def add(self, new: New) -> Entry:
        """Keep an answer, and remove what exceeds the bounds."""

    @abstractmethod
    def page(self, owner: str, model: str, after: int, limit: int) -> Sequence[Entry]:
        """A model's entries from behind the id `after` on, oldest first."""

    @abstractmethod
    def newest(self, owner: str, limit: int) -> Sequence[Entry]:
        """The newest entries of all models, newest first."""

    @abstractmethod
    def picture(self, owner: str, digest: str) -> bytes | None:
        """The PNG file of a picture that an entry of this owner shows."""

    @abstractmethod
    def delete(self, owner: str, digest: str) -> bool:
        """Remove the owner's entries of a picture; whether there were any."""
