"""What can be done with models and their aliases, wherever they are kept."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TypeAlias

from model.errors import ModelRefused
from model.names import PLATE, is_plate
from model.privacy import scrub
from model.registry.aliases import (
    Aliases,
    Book,
    Change,
    now,
    promoted,
    rolled_back,
    shadowed,
)
from model.registry.errors import Conflict, Damaged, Refused, Unavailable
from model.registry.examination import examine
from model.registry.file_home import FileHome
from model.registry.homes import MODEL, Entry, Files, Home, Papers, check_name

# Raises ModelRefused for a model file that is not to get an alias.
Check: TypeAlias = Callable[[Path], object]

# So often others may change the aliases between our look and our change.
_TRIES = 50
# All changes that are kept are read at each look at the aliases.
_LONGEST_NOTE = 1000


class Fault(NamedTuple):
    """What is wrong with a version or an alias."""

    what: str
    reason: str


class Moved(NamedTuple):
    """The aliases before and after a change; equal when there was nothing to change."""

    before: Aliases
    after: Aliases


class Registry:
    """The versions and aliases of one model.

    All methods raise Unavailable when the home can't be reached, read or written.
    """

    def __init__(self, home: Home, check: Check = examine) -> None:
        """`check` raises ModelRefused for a model file that can't be served."""
        self._home = home
        self._check = check
        self.where = home.where

    def versions(self) -> list[Entry]:
        """All versions, oldest first."""
        return self._home.entries()

    def aliases(self) -> Aliases:
        """Which version is what. Raises Damaged."""
        return Book.parse(self._home.read().text).aliases

    def history(self) -> list[Change]:
        """The newest changes, oldest first. Raises Damaged."""
        return Book.parse(self._home.read().text).history

    def fetch(self, version: str) -> Path:
        """The local model.cbm of a version, beside its manifest; its hash was just verified.

        Raises Refused when there is no such version, Damaged when it is not what was added.
        """
        return self._home.fetch(version) / MODEL

    def manifest(self, version: str) -> Papers:
        """What a version's manifest says of it. Raises Refused, Damaged."""
        return Papers.parse(self._home.manifest(version))

    def add(self, files: Files) -> bool:
        """Store a version that was examined; False if the same is there already.

        Raises Refused when the version has another model, or is no name for one.
        """
        return self._home.add(check_name("version", files.papers().version), files)

    def promote(
        self,
        version: str,
        *,
        who: str,
        note: str = "",
        force: bool = False,
        instead: str | None = None,
    ) -> Moved:
        """Make a version live and the one that was live previous, at once.

        `instead`, if given, is the live version that it was compared with, "" for none.
        Raises Refused, Damaged; ModelRefused when it can't be served, which `force` overrides
        and the history tells; Conflict when others never leave the aliases alone.
        """
        forced = self._checked(version, force=force)

        def step(aliases: Aliases) -> Aliases:
            if instead is not None and aliases.live != instead:
                live = aliases.live or "nothing"
                raise Refused(f"{live} is live by now, not {instead or 'nothing'}")
            return promoted(aliases, version)

        return self._change("promote", step, who, note, forced)

    def rollback(self, *, who: str, note: str = "", force: bool = False) -> Moved:
        """Make the previous version live again, and the live one previous. Raises as promote."""
        version = rolled_back(self.aliases()).live
        forced = self._checked(version, force=force)

        def step(aliases: Aliases) -> Aliases:
            if aliases.previous != version:
                raise Refused("the aliases were changed meanwhile: look, then try again")
            return rolled_back(aliases)

        return self._change("rollback", step, who, note, forced)

    def shadow(self, version: str, *, who: str, note: str = "", force: bool = False) -> Moved:
        """Make a version the shadow, "" for none. Raises as promote, Refused for the live one."""
        forced = self._checked(version, force=force) if version else ""
        return self._change("shadow", lambda a: shadowed(a, version), who, note, forced)

    def verify(self) -> list[Fault]:
        """What is wrong with all versions, as they are in the home now, and with the aliases."""
        versions = [entry.version for entry in self._home.entries()]
        faults = [
            Fault(
                stray, "it has no manifest.json: its add is under way or was cut off; add it again"
            )
            for stray in self._home.strays()
        ]
        for version in versions:
            try:
                self._check(self._home.fetch(version, afresh=True) / MODEL)
            except (ModelRefused, Damaged, Refused) as reason:
                faults.append(Fault(version, str(reason)))
        return [*faults, *self._dangling(versions)]

    def _dangling(self, versions: list[str]) -> list[Fault]:
        try:
            aliases = self.aliases()
        except Damaged as reason:
            return [Fault("aliases", str(reason))]
        named = (aliases.live, aliases.shadow, aliases.previous)
        return [
            Fault(alias, f"there is no version {version}")
            for version in dict.fromkeys(named)
            if version and version not in versions
            for alias in aliases.of(version)
        ]

    def _checked(self, version: str, *, force: bool) -> str:
        """Why a version that is used all the same should not be; empty if it may.

        What may be a plate is never used: names go into headers, logs and metrics.
        """
        if is_plate(version):
            raise Refused(f"version: {PLATE}")
        path = self.fetch(version)
        try:
            self._check(path)
        except ModelRefused as reason:
            if not force:
                raise
            return scrub(str(reason))
        return ""

    def _change(
        self, what: str, step: Callable[[Aliases], Aliases], who: str, note: str, forced: str
    ) -> Moved:
        if len(note) > _LONGEST_NOTE or not note.isprintable():
            raise Refused(f"a note has at most {_LONGEST_NOTE} characters, and only printable ones")
        if scrub(note) != note:
            raise Refused(f"note: {PLATE}")
        for _ in range(_TRIES):
            stored = self._home.read()
            book = Book.parse(stored.text)
            after = step(book.aliases)
            if after == book.aliases:
                return Moved(after, after)
            change = Change(what, who, now(), note, forced, after)
            try:
                self._home.write(book.after(change).text(), stored.token)
            except Conflict:
                continue
            return Moved(book.aliases, after)
        raise Conflict(f"{self.where}: others changed the aliases {_TRIES} times meanwhile")


def open_registry(
    location: str | Path,
    name: str = "regno",
    cache: Path | None = None,
    check: Check = examine,
) -> Registry:
    """The registry of the model `name` at a folder or at s3://bucket/prefix.

    `cache` is the folder for copies of what lies elsewhere; by default one in the user's home.
    `check` raises ModelRefused for a model file that is not to get an alias.
    Nothing is read yet. Raises Refused for a location or name that can't be one, Unavailable
    when what its home needs is not installed.
    """
    return Registry(_home(str(location), check_name("model", name), cache), check)


def _home(location: str, name: str, cache: Path | None) -> Home:
    scheme, separator, address = location.partition("://")
    if not separator:
        return FileHome(Path(location) / name)
    if scheme != "s3":
        raise Refused(f"{location}: a registry is a folder or s3://bucket/prefix")
    try:
        module = import_module("model.registry.s3_home")
    except ModuleNotFoundError as error:
        raise Unavailable(f"{location} needs {error.name}: install the extra `s3`") from error
    home: Home = module.S3Home(address, name, cache or _usual_cache())
    return home


def _usual_cache() -> Path:
    try:
        return Path.home() / ".cache" / "plate-scoring"
    except RuntimeError as error:
        raise Unavailable("this user has no home folder: name one for copies of models") from error
