"""What can be done with models and their aliases, wherever they are kept."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TypeAlias

from model import catalog
from model.errors import ModelRefused, UnknownModel
from model.names import PLATE, is_plate
from model.redaction import redact
from model.registry.aliases import (
    Aliases,
    Change,
    RegistryState,
    now,
    promoted,
    rolled_back,
    shadowed,
)
from model.registry.errors import Conflict, Damaged, Refused, Unavailable
from model.registry.file_store import FileStore
from model.registry.store import ArtifactStore, Entry, Files, VersionManifest, check_name, unknown
from model.registry.validation import validate

# Raises ModelRefused for a model file that is not to get an alias.
Check: TypeAlias = Callable[[Path], object]

# So often others may change the aliases between our look and our change.
_TRIES = 50
# All changes that are kept are read at each look at the aliases.
_LONGEST_NOTE = 1000
_CUT_OFF = "its removal was cut off; remove it again"


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

    All methods raise Unavailable when the store can't be reached, read or written.
    """

    def __init__(self, store: ArtifactStore, check: Check = validate) -> None:
        """`check` raises ModelRefused for a model file that can't be served."""
        self._store = store
        self._check = check
        self.where = store.where

    def versions(self) -> list[Entry]:
        """All versions, oldest first."""
        return self._store.entries()

    def aliases(self) -> Aliases:
        """Which version is what. Raises Damaged."""
        return RegistryState.parse(self._store.read().text).aliases

    def named(self, name: str) -> str:
        """The version of this name, or that an alias of this name stands for.

        Raises Refused for an alias that stands for none, and Damaged.
        """
        version = self.aliases().version(name)
        if not version:
            raise Refused(f"{self.where}: no version is {name}")
        return version

    def history(self) -> list[Change]:
        """The newest changes, oldest first. Raises Damaged."""
        return RegistryState.parse(self._store.read().text).history

    def fetch(self, version: str) -> Path:
        """The local artifact of a version, next to its manifest; its hash was just verified.

        Raises Refused when there is no such version, Damaged when it is not what was added.
        """
        return self._store.fetch(version) / self._store.artifact

    def manifest(self, version: str) -> VersionManifest:
        """What a version's manifest says of it. Raises Refused, Damaged."""
        return VersionManifest.parse(self._store.manifest(version))

    def report(self, version: str) -> dict[str, bytes]:
        """The files of a version's training report by name, verified; none without one.

        Raises Refused when there is no such version, Damaged when one is not what was added.
        """
        return self._store.report(version)

    def add(self, files: Files) -> bool:
        """Store a version that was validated; False if the same is there already.

        Raises Refused when the version has another model, was removed, or is not a name for one.
        """
        version = check_name("version", files.described().version)
        if version in RegistryState.parse(self._store.read().text).removed:
            raise Refused(f"version {version} was removed, and no name is used twice: take another")
        return self._store.add(version, files)

    def remove(self, version: str, *, who: str, note: str = "") -> None:
        """Remove a version for ever; its name is not used again.

        The aliases' file names it as removed first: a removal that is cut off can be done again,
        and until then no alias can be given to what is left. Raises Refused when there is no such
        version, or an alias names it; Conflict.
        """
        names = {*(entry.version for entry in self._store.entries()), *self._store.strays()}
        if version not in names:
            if (stands_for := self.aliases().version(version)) not in ("", version):
                alias = f"{version} is an alias, of {stands_for}"
                raise Refused(f"{alias}: a version that an alias names is not removed")
            raise unknown(version)

        def step(state: RegistryState) -> RegistryState:
            if named := state.aliases.of(version):
                names = " and ".join(named)
                raise Refused(f"{version} is {names}: a version that an alias names is not removed")
            if version in state.removed:
                return state
            change = Change(f"remove {version}", who, now(), note, "", state.aliases)
            return state.after(change).without(version)

        self._update(step, note)
        self._store.remove(version)

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
                raise Refused("the aliases were changed meanwhile: check them, then try again")
            return rolled_back(aliases)

        return self._change("rollback", step, who, note, forced)

    def shadow(self, version: str, *, who: str, note: str = "", force: bool = False) -> Moved:
        """Make a version the shadow, "" for none. Raises as promote, Refused for the live one."""
        forced = self._checked(version, force=force) if version else ""
        return self._change("shadow", lambda a: shadowed(a, version), who, note, forced)

    def verify(self) -> list[Fault]:
        """What is wrong with all versions, as they are in the store now, and with the aliases."""
        versions = [entry.version for entry in self._store.entries()]
        faults = [
            Fault(
                stray, "it has no manifest.json: its add is under way or was cut off; add it again"
            )
            for stray in self._store.strays()
        ]
        for version in versions:
            try:
                self._check(self._store.fetch(version, afresh=True) / self._store.artifact)
                self._store.report(version)
            except (ModelRefused, Damaged, Refused) as reason:
                faults.append(Fault(version, str(reason)))
        return [*faults, *self._dangling(versions)]

    def _dangling(self, versions: list[str]) -> list[Fault]:
        try:
            state = RegistryState.parse(self._store.read().text)
        except Damaged as reason:
            return [Fault("aliases", str(reason))]
        aliases = state.aliases
        left = [Fault(name, _CUT_OFF) for name in versions if name in state.removed]
        named = (aliases.live, aliases.shadow, aliases.previous)
        return left + [
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
            return redact(str(reason))
        return ""

    def _change(
        self, what: str, step: Callable[[Aliases], Aliases], who: str, note: str, forced: str
    ) -> Moved:
        def changed(state: RegistryState) -> RegistryState:
            after = step(state.aliases)
            for version in (after.live, after.shadow):
                if version in state.removed:
                    raise unknown(version)
            if after == state.aliases:
                return state
            return state.after(Change(what, who, now(), note, forced, after))

        before, after = self._update(changed, note)
        return Moved(before.aliases, after.aliases)

    def _update(
        self, step: Callable[[RegistryState], RegistryState], note: str
    ) -> tuple[RegistryState, RegistryState]:
        """The state before and after a change, which is written unless others changed it too."""
        if len(note) > _LONGEST_NOTE or not note.isprintable():
            raise Refused(f"a note has at most {_LONGEST_NOTE} characters, and only printable ones")
        if redact(note) != note:
            raise Refused(f"note: {PLATE}")
        for _ in range(_TRIES):
            stored = self._store.read()
            state = RegistryState.parse(stored.text)
            after = step(state)
            if after is state:
                return state, state
            try:
                self._store.write(after.text(), stored.token)
            except Conflict:
                continue
            return state, after
        raise Conflict(f"{self.where}: others changed the aliases {_TRIES} times meanwhile")


def open_registry(
    location: str | Path,
    name: str = catalog.DEFAULT,
    cache: Path | None = None,
    check: Check | None = None,
) -> Registry:
    """The registry of the model `name` at a folder or at s3://bucket/prefix.

    `cache` is the folder for copies of what lies elsewhere; by default one in the user's home.
    `check` raises ModelRefused for a model file that is not to get an alias; by default it is
    `validate`. Nothing is read yet. Raises Refused for a location that can't be one or a model that
    the catalog lacks, Unavailable when what its store needs is not installed.
    """
    store = _store(str(location), check_name("model", name), cache)
    return Registry(store, check or partial(validate, name=name))


def _store(location: str, name: str, cache: Path | None) -> ArtifactStore:
    try:
        artifact = catalog.entry(name).artifact
    except UnknownModel as reason:
        raise Refused(str(reason)) from None
    scheme, separator, address = location.partition("://")
    if not separator:
        return FileStore(Path(location) / name, artifact)
    if scheme != "s3":
        raise Refused(f"{location}: a registry is a folder or s3://bucket/prefix")
    try:
        module = import_module("model.registry.s3_store")
    except ModuleNotFoundError as error:
        raise Unavailable(f"{location} needs {error.name}: install the extra `s3`") from error
    store: ArtifactStore = module.S3Store(address, name, cache or _usual_cache(), artifact)
    return store


def _usual_cache() -> Path:
    try:
        return Path.home() / ".cache" / "plate-scoring"
    except RuntimeError as error:
        raise Unavailable("this user has no home folder: name one for copies of models") from error
