"""What the command prints for people."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from model.names import printable
from model.registry.aliases import Aliases, Change
from model.registry.promotion import Trial
from model.registry.registry import Fault, Moved
from model.registry.store import VersionManifest

_THERE: Final = (
    "there already with this model; nothing was changed, nor was its manifest. --version adds the "
    "model by another name"
)


def when(seconds: float) -> str:
    """A Unix time as text, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions(where: str, aliases: Aliases, rows: Sequence[Mapping[str, Any]]) -> str:
    """The versions, newest last."""
    if not rows:
        return f"{where}: no versions"
    lines = [
        (
            row["version"],
            ", ".join(row["aliases"]),
            _size(row["bytes"]),
            row["added"],
            _mapping(row["classes"], row["positive_class"]),
        )
        for row in rows
    ]
    table = _table(("VERSION", "ALIASES", "SIZE", "ADDED", "POSITIVE CLASS"), lines)
    return f"{table}\n{where}, generation {aliases.generation}"


def added(manifest: VersionManifest, *, new: bool) -> str:
    """What became of a version that was to be added."""
    done = "added" if new else _THERE
    lines = [
        f"{manifest.version}: {done} (SHA-256 {manifest.sha256})",
        f"positive class: {_mapping(manifest.classes, manifest.positive_class)}",
    ]
    if not manifest.reference:
        lines.append("no drift reference: --reference-from readings.csv would give it one")
    if manifest.unexplained:
        lines.append(f"POST /reg/explain can't explain its scores: {manifest.unexplained}")
    return "\n".join(lines)


def history(changes: Sequence[Change]) -> str:
    """The changes of aliases, newest last."""
    lines = [
        (
            str(change.aliases.generation),
            change.when,
            change.who,
            change.what,
            _or_none(change.aliases.live),
            _or_none(change.aliases.previous),
            _or_none(change.aliases.shadow),
            _remark(change),
        )
        for change in changes
    ]
    if not lines:
        return "no changes"
    names = ("GENERATION", "WHEN", "WHO", "WHAT", "LIVE", "PREVIOUS", "SHADOW", "NOTE")
    return _table(names, lines)


def moved(before: Aliases, after: Aliases) -> str:
    """What a change has changed."""
    lines = [
        f"{alias}: {_or_none(getattr(before, alias))} -> {_or_none(getattr(after, alias))}"
        for alias in ("live", "shadow", "previous")
        if getattr(before, alias) != getattr(after, alias)
    ]
    if not lines:
        return f"nothing to change (generation {after.generation})"
    return "\n".join((*lines, f"generation: {before.generation} -> {after.generation}"))


def promoted(change: Moved, trial: Trial) -> str:
    """What a promotion has changed, after what the comparison found."""
    report = [compared(trial)] if trial.parity else []
    return "\n".join((*report, moved(*change)))


def compared(trial: Trial) -> str:
    """What the comparison of a promotion found."""
    found = trial.parity
    head = ("CAMERA CLASS", "ROWS", "TO NETWORK", "TO CAMERA")
    lines = [
        (name, *map(str, (flips.rows, flips.to_network, flips.to_camera)))
        for name, flips in (*found.by_camera_class.items(), ("all", found.flips))
    ]
    said = (
        f"compared on {found.rows} rows: {found.flips.count} decided differently, "
        f"probabilities differ by {found.differences.mean:.4f} on average, "
        f"by {found.differences.max:.4f} at most, "
        f"a row takes {found.slowdown:.1f} times as long"
    )
    return "\n".join((said, _table(head, lines), *trial.remarks))


def faults(count: int, found: Sequence[Fault]) -> str:
    """What verify has found in so many versions."""
    lines = [f"{fault.what}: {fault.reason}" for fault in found]
    return "\n".join((*lines, f"versions: {count}, faults: {len(found)}"))


def _mapping(classes: Sequence[str], positive: str) -> str:
    if not (classes and positive):
        return "?"
    return f"{printable(positive)} of {' and '.join(map(printable, classes))}"


def _or_none(version: str) -> str:
    return version or "none"


def _remark(change: Change) -> str:
    forced = f"FORCED: {change.forced}" if change.forced else ""
    return "; ".join(filter(None, (change.note, forced)))


def _size(count: int) -> str:
    return "?" if count < 0 else f"{count / 1e6:.2f} MB"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )
    return "\n".join(lines)
