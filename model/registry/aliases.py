"""Which versions are live, shadow and previous, and what may become of them.

The file `aliases.json` holds the aliases and the newest changes. Invariants: the live version
is neither the shadow nor the previous one; each change raises the generation by one.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct

from model.names import is_name
from model.registry.errors import Damaged, Refused
from model.utf8 import file_text

_KEPT: Final = 500
_MOST: Final = 2**53


NAMES: Final = ("live", "shadow", "previous")


class Aliases(Struct, frozen=True):
    """Versions by alias, "" for none. `generation` counts the changes that led here."""

    live: str = ""
    shadow: str = ""
    previous: str = ""
    generation: int = 0

    @property
    def is_valid(self) -> bool:
        """Whether versions are names and the generation is a count: hands may have written them."""
        names = (self.live, self.shadow, self.previous)
        return all(not n or is_name(n) for n in names) and 0 <= self.generation < _MOST

    def of(self, version: str) -> list[str]:
        """The aliases of a version."""
        return [name for name in NAMES if version and getattr(self, name) == version]

    def version(self, name: str) -> str:
        """The version that an alias stands for, "" for none; any other name as it is."""
        return str(getattr(self, name)) if name in NAMES else name


class Change(Struct, frozen=True):
    """One change: what was done by whom and when (UTC), and the aliases after it.

    `forced` is the reason of a refusal that was overridden, "" if there was none.
    """

    what: str
    who: str
    when: str
    note: str
    forced: str
    aliases: Aliases


class RegistryState(Struct, frozen=True):
    """The contents of `aliases.json`; `history` has the newest changes, oldest first.

    `removed` are the newest names of removed versions: none is used again, since copies of the
    former version may be anywhere.
    """

    aliases: Aliases = Aliases()
    history: list[Change] = []
    removed: list[str] = []

    @classmethod
    def parse(cls, text: bytes) -> "RegistryState":
        """The state in a file's bytes; an empty one if there are none. Raises Damaged."""
        if not text:
            return cls()
        try:
            state = msgspec.json.decode(file_text(text), type=cls)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Damaged(f"aliases.json can't be read: {error}") from error
        if not state.aliases.is_valid:
            raise Damaged("aliases.json names what can be no version, or no generation")
        return state

    def text(self) -> bytes:
        """Its bytes."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def after(self, change: Change) -> "RegistryState":
        """The state with one change more."""
        return RegistryState(change.aliases, [*self.history, change][-_KEPT:], self.removed)

    def without(self, version: str) -> "RegistryState":
        """The state with one name more that is used no more."""
        others = [name for name in self.removed if name != version]
        return RegistryState(self.aliases, self.history, [*others, version][-_KEPT:])


def now() -> str:
    """The time for a change."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def promoted(aliases: Aliases, version: str) -> Aliases:
    """`version` live, and the one that was live previous; as they are if it is live already."""
    if aliases.live == version:
        return aliases
    shadow = "" if aliases.shadow == version else aliases.shadow
    return Aliases(version, shadow, aliases.live, aliases.generation + 1)


def rolled_back(aliases: Aliases) -> Aliases:
    """The live and the previous version in each other's place. Raises Refused without one."""
    if not aliases.previous:
        raise Refused("there is no previous version to go back to")
    return promoted(aliases, aliases.previous)


def shadowed(aliases: Aliases, version: str) -> Aliases:
    """`version` as shadow, none if "". Raises Refused for the live one."""
    if version and version == aliases.live:
        raise Refused(f"{version} is live: it can't be its own shadow")
    if aliases.shadow == version:
        return aliases
    return Aliases(aliases.live, version, aliases.previous, aliases.generation + 1)
