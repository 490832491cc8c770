"""What an artifact store does: keep bytes whole. It has no rules of models or aliases."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from model.names import PLATE, RULE, is_name, is_plate, is_taken
from model.registry.errors import Damaged, Refused
from model.utf8 import file_text

MANIFEST: Final = "manifest.json"
REPORT: Final = "report"
ALIASES: Final = "aliases.json"


class VersionManifest(Struct):
    """What the registry reads of a manifest.

    `classes` are the model's in its own order; an older manifest names none, nor the positive one.
    `report` holds the SHA-256 of each file of the training report; none without one. `source` is
    where on an MLflow server the model came from, "" for a file.
    """

    version: str
    file: str
    sha256: str
    classes: list[str] = []
    positive_class: str = ""
    unexplained: str | None = None
    reference: list[msgspec.Raw] = []
    features: list[msgspec.Raw] = []
    training: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    report: dict[str, str] = {}
    source: str = ""

    @classmethod
    def parse(cls, manifest: bytes) -> "VersionManifest":
        """What the bytes of a manifest say. Raises Damaged."""
        try:
            return msgspec.json.decode(file_text(manifest), type=cls)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Damaged(f"{MANIFEST} can't be read: {error}") from error


class Files(NamedTuple):
    """The files of a version: the artifact, which its manifest names, and the manifest.

    `report` are the files of the training report by name, without folders.
    """

    model: bytes
    manifest: bytes
    report: Mapping[str, bytes] = {}

    def described(self) -> VersionManifest:
        """What the manifest says. Raises Damaged when it is unreadable or of other bytes."""
        manifest = VersionManifest.parse(self.manifest)
        if manifest.sha256 != sha256(self.model).hexdigest():
            file = manifest.file
            raise Damaged(f"{file} does not match {MANIFEST}: the SHA-256 differs")
        return manifest

    def check(self, version: str, artifact: str) -> None:
        """Raise Damaged when they are not whole, or not those of a version with this artifact."""
        manifest = VersionManifest.parse(self.manifest)
        if manifest.file != artifact:
            raise Damaged(f"{MANIFEST} is that of a file {manifest.file}, not of {artifact}")
        self.described()
        if manifest.version != version:
            raise Damaged(f"{MANIFEST} is that of version {manifest.version}")


def read_report(described: VersionManifest, read: Callable[[str], bytes]) -> dict[str, bytes]:
    """The files of a version's report by name; `read` returns the bytes of one.

    Raises Damaged when one is missing, too large, or not what was added.
    """
    report = {}
    for name, digest in described.report.items():
        if not is_name(name):
            raise Damaged(f"{MANIFEST} names a file of the report that can be none")
        report[name] = content = read(f"{REPORT}/{name}")
        if sha256(content).hexdigest() != digest:
            raise Damaged(f"{REPORT}/{name} does not match {MANIFEST}: the SHA-256 differs")
    return report


class Entry(NamedTuple):
    """A version, the size of its model file in bytes, and when it was added (Unix time)."""

    version: str
    size: int
    added: float


class Stored(NamedTuple):
    """The bytes of `aliases.json`, empty if there is none, and a token of this state of it."""

    text: bytes
    token: str


class ArtifactStore(Protocol):
    """A place for the versions and the aliases of one model.

    `artifact` is the name of each version's file. All methods raise Unavailable when the place
    can't be reached, read or written.
    """

    where: str
    artifact: str

    def entries(self) -> list[Entry]:
        """The versions, oldest first: those whose manifest is there, which is written last."""

    def strays(self) -> list[str]:
        """What looks like a version but has no manifest."""

    def fetch(self, version: str, *, afresh: bool = False) -> Path:
        """The local folder of a version whose hash was just verified.

        `afresh`: read the store itself, however good a copy is at hand.
        Raises Refused when there is no such version, Damaged when it is not whole.
        """

    def manifest(self, version: str) -> bytes:
        """The manifest of a version, unverified. Raises Refused when there is no such version."""

    def report(self, version: str) -> dict[str, bytes]:
        """The files of a version's training report by name, verified. Raises Refused, Damaged."""

    def remove(self, version: str) -> None:
        """Remove all that there is of a version; what was begun can be done again."""

    def add(self, version: str, files: Files) -> bool:
        """Store a version, whole or not at all; False if the same model is there already.

        Raises Refused when the version has another model.
        """

    def read(self) -> Stored:
        """The aliases."""

    def write(self, text: bytes, token: str) -> None:
        """Replace the aliases at once. Raises Conflict if their state is not the token's."""


def check_name(kind: str, name: str) -> str:
    """A name of a model or version. Raises Refused for no safe folder, and what may be a plate."""
    if is_plate(name):
        raise Refused(f"{kind}: {PLATE}")
    if is_taken(name):
        raise Refused(f"{kind} {name!r} is taken: it is a name of the registry's own")
    if not is_name(name):
        raise Refused(f"{kind} {name!r} is not a name: {RULE}")
    return name


def taken(version: str) -> Refused:
    """The error of an add of another model."""
    return Refused(f"version {version} is there with another model, and versions never change")


def unknown(version: str) -> Refused:
    """The error of a version that is not there."""
    return Refused(f"there is no version {version}")
