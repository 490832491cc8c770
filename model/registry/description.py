"""What is known of a version: its manifest, its place among the aliases, its figures."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from model.registry.aliases import Aliases, Change
from model.registry.errors import Damaged, Refused
from model.registry.registry import Registry
from model.registry.store import Entry, VersionManifest


class Description(Struct):
    """A version. `auc` is that of its held-out rows, `rows` how many labelled ones there were.

    `note` is that of the newest change of an alias that led to it. `report` are the files of its
    training report, `source` is as in `VersionManifest`.
    """

    version: str
    aliases: list[str]
    bytes: int
    added: str
    sha256: str = ""
    classes: list[str] = []
    positive_class: str = ""
    auc: float | None = None
    rows: int | None = None
    drift_variables: int = 0
    note: str = ""
    report: list[str] = []
    source: str = ""


def described(registry: Registry) -> list[Description]:
    """All versions, oldest first. Raises Damaged for aliases that can't be read."""
    aliases, changes = registry.aliases(), registry.history()
    return [_described(registry, entry, aliases, changes) for entry in registry.versions()]


def _described(
    registry: Registry, entry: Entry, aliases: Aliases, changes: Sequence[Change]
) -> Description:
    made = Description(
        entry.version, aliases.of(entry.version), entry.size, when(entry.added),
        note=_note(entry.version, changes),
    )  # fmt: skip
    with suppress(Damaged, Refused):  # which verify tells; it may just be removed
        manifest = registry.manifest(entry.version)
        made.sha256, made.drift_variables = manifest.sha256, len(manifest.reference)
        made.classes, made.positive_class = manifest.classes, manifest.positive_class
        made.auc, made.rows = _auc(manifest), _rows(manifest)
        made.report, made.source = sorted(manifest.report), manifest.source
    return made


def when(seconds: float) -> str:
    """A Unix time as text, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def changes_of(version: str, changes: Sequence[Change]) -> list[Change]:
    """The changes that made a version live or the shadow, oldest first."""
    before, found = Aliases(), []
    for change in changes:
        after = change.aliases
        if version in (after.live, after.shadow) and before.of(version) != after.of(version):
            found.append(change)
        before = after
    return found


def _note(version: str, changes: Sequence[Change]) -> str:
    notes = [change.note for change in changes_of(version, changes) if change.note]
    return notes[-1] if notes else ""


def measures(manifest: VersionManifest) -> Mapping[str, Any]:
    """The metrics of the held-out rows by name, none if the manifest has none.

    That of a model with baselines has them under `model`, others have them alone.
    """
    model = manifest.metrics.get("model", manifest.metrics)
    return model if isinstance(model, dict) else {}


def _auc(manifest: VersionManifest) -> float | None:
    auc = measures(manifest).get("auc")
    return float(auc) if isinstance(auc, int | float) else None


def _rows(manifest: VersionManifest) -> int | None:
    """Of simulated rows the number stands for itself, of a file among what is said of it."""
    of_file = manifest.training.get("data")
    for place in (manifest.training, of_file):
        if isinstance(place, dict) and isinstance(rows := place.get("rows"), int):
            return rows
    return None
