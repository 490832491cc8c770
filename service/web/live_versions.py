"""Which version of each model is live, and its measures, as far as manifests say."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from model import catalog
from model.catalog import Entry
from model.registry import (
    MANIFEST,
    Aliases,
    RegistryError,
    VersionManifest,
    measures,
    open_registry,
)
from service.config.models import served
from service.config.settings import Settings

_BUNDLED: Final = "bundled with this installation"


class LiveVersion(NamedTuple):
    """A model, what is live of it, and where that comes from.

    `version` is empty if there is none or its manifest can't be read; `measures` are those of
    held-out rows, and `aliases` those of its registry.
    """

    model: str
    path: str
    source: str
    version: str
    measures: Mapping[str, float]
    aliases: Aliases


def live_versions(settings: Settings, pictures: Mapping[str, str]) -> Iterator[LiveVersion]:
    """The models that are served, the default one first; `pictures` are those of this server.

    The names of the latter are given with their addresses.
    """
    models = served(settings)
    for entry in models.values():
        if settings.registry:
            yield _of_registry(entry, settings)
        elif settings.model and entry.name == catalog.DEFAULT:
            yield _of_file(entry, Path(settings.model), "of the file that the settings name")
        elif entry.bundled:
            yield _of_file(entry, entry.bundled, _BUNDLED)
    for name, path in pictures.items():
        if name not in models and name in catalog.entries():
            yield _of_pictures(catalog.entry(name), settings)._replace(path=path)


def picture_version(entry: Entry, settings: Settings) -> str:
    """The version by which the picture process scores, "" if it can't be told."""
    return _of_pictures(entry, settings).version


def _of_pictures(entry: Entry, settings: Settings) -> LiveVersion:
    """The registry's live version or, as the picture process does without one, the bundled one."""
    if settings.registry and (live := _of_registry(entry, settings)).version:
        return live
    if entry.bundled:
        return _of_file(entry, entry.bundled, _BUNDLED)
    return _described(entry, _BUNDLED, None, Aliases())


def _of_registry(entry: Entry, settings: Settings) -> LiveVersion:
    cache = Path(settings.registry_cache) if settings.registry_cache else None
    aliases = Aliases()
    try:
        registry = open_registry(settings.registry, entry.name, cache)
        aliases = registry.aliases()
        manifest = registry.manifest(aliases.live) if aliases.live else None
    except RegistryError:
        manifest = None
    return _described(entry, "of the registry", manifest, aliases)


def _of_file(entry: Entry, path: Path, source: str) -> LiveVersion:
    try:
        manifest = VersionManifest.parse(path.with_name(MANIFEST).read_bytes())
    except (OSError, RegistryError):
        manifest = None
    return _described(entry, source, manifest, Aliases())


def _described(
    entry: Entry, source: str, manifest: VersionManifest | None, aliases: Aliases
) -> LiveVersion:
    found = measures(manifest) if manifest else {}
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
    version = manifest.version if manifest else aliases.live or ""
    return LiveVersion(entry.name, entry.path, source, version, numbers, aliases)
