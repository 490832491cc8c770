"""What a home of models does: keep bytes whole. It knows nothing of models or of aliases' rules."""

import re
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from model.registry.errors import Damaged, Refused

MODEL: Final = "model.cbm"
MANIFEST: Final = "manifest.json"
ALIASES: Final = "aliases.json"
# Models of this kind have a few MB. A file is held in memory once it is hashed and parsed.
LARGEST: Final = 256 * 2**20
# So that no name leaves its folder, is hidden, or is an alias.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_TAKEN: Final = frozenset(("live", "shadow", "previous", ALIASES))


class Papers(Struct):
    """What the registry reads of a manifest."""

    version: str
    file: str
    sha256: str


class Files(NamedTuple):
    """The two files of a version."""

    model: bytes
    manifest: bytes

    def papers(self) -> Papers:
        """What the manifest says. Raises Damaged when it is unreadable or of another model."""
        try:
            papers = msgspec.json.decode(self.manifest, type=Papers)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Damaged(f"{MANIFEST} can't be read: {error}") from error
        if papers.file != MODEL:
            raise Damaged(f"{MANIFEST} is that of a file {papers.file}, not of {MODEL}")
        if papers.sha256 != sha256(self.model).hexdigest():
            raise Damaged(f"{MODEL} is not the file that {MANIFEST} tells of: the SHA-256 differs")
        return papers

    def check(self, version: str) -> None:
        """Raise Damaged when they are not whole, or not those of a version."""
        told = self.papers().version
        if told != version:
            raise Damaged(f"{MANIFEST} is that of version {told}")


class Entry(NamedTuple):
    """A version, the size of its model file in bytes, and when it was added (Unix time)."""

    version: str
    size: int
    added: float


class Stored(NamedTuple):
    """The bytes of `aliases.json`, empty if there is none, and a token of this state of it."""

    text: bytes
    token: str


class Home(Protocol):
    """A place for the versions and the aliases of one model.

    All methods raise Unavailable when the place can't be reached, read or written.
    """

    where: str

    def entries(self) -> list[Entry]:
        """The versions, oldest first: those whose manifest is there, which is written last."""

    def strays(self) -> list[str]:
        """What looks like a version but has no manifest."""

    def fetch(self, version: str, *, afresh: bool = False) -> Path:
        """The local folder of a version whose hash was just verified.

        `afresh`: look at the home itself, however good a copy is at hand.
        Raises Refused when there is no such version, Damaged when it is not whole.
        """

    def add(self, version: str, files: Files) -> bool:
        """Store a version, whole or not at all; False if the same model is there already.

        Raises Refused when the version has another model.
        """

    def read(self) -> Stored:
        """The aliases."""

    def write(self, text: bytes, token: str) -> None:
        """Replace the aliases at once. Raises Conflict if their state is not the token's."""


def check_name(kind: str, name: str) -> str:
    """A name of a model or version. Raises Refused for one that is no safe folder."""
    if not _NAME.fullmatch(name):
        raise Refused(f"{kind} {name!r} is no name: letters, digits and . _ + - are")
    if name in _TAKEN:
        raise Refused(f"{kind} {name!r} is taken: it is a name of the registry's own")
    return name


def is_name(name: str) -> bool:
    """Whether a version may be called so."""
    return bool(_NAME.fullmatch(name)) and name not in _TAKEN


def taken(version: str) -> Refused:
    """The error of an add of another model."""
    return Refused(f"version {version} is there with another model, and versions never change")


def unknown(version: str) -> Refused:
    """The error of a version that is not there."""
    return Refused(f"there is no version {version}")
