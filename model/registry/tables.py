"""What the command prints for people."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from model.names import printable
from model.registry.aliases import Aliases, Change
from model.registry.description import Description, measures
from model.registry.promotion import Trial
from model.registry.registry import Fault, Moved
from model.registry.store import VersionManifest

_THERE: Final = (
    "there already with this model; nothing was changed, nor was its manifest. --version adds the "
    "model by another name"
)


def versions(where: str, aliases: Aliases, found: Sequence[Description]) -> str:
    """The versions, newest last."""
    if not found:
        return f"{where}: no versions"
    names = (
        *("VERSION", "ALIASES", "AUC", "ROWS", "ADDED", "SIZE", "POSITIVE CLASS"),
        *("DRIFT", "REPORT", "NOTE"),
    )
    lines = [
        (
            of.version,
            ", ".join(of.aliases),
            _figure(of.auc),
            "–" if of.rows is None else str(of.rows),
            of.added,
            _size(of.bytes),
            _mapping(of.classes, of.positive_class),
            _yes_or_no(of.drift_variables),
            _yes_or_no(len(of.report)),
            of.note,
        )
        for of in found
    ]
    return f"{_table(names, lines)}\n{where}, generation {aliases.generation}"


def version(found: Description, manifest: VersionManifest, changes: Sequence[Change]) -> str:
    """All that is known of a version, a line each."""
    measured = {
        name: value
        for name, value in measures(manifest).items()
        if isinstance(value, int | float) and name != "rows"
    }
    lines = [
        ("version", found.version),
        ("aliases", ", ".join(found.aliases) or "none"),
        ("added", found.added),
        ("size", _size(found.bytes)),
        ("SHA-256", found.sha256),
        *([("source", printable(found.source))] if found.source else []),
        ("features", str(len(manifest.features))),
        ("positive class", _mapping(found.classes, found.positive_class)),
        ("explanations", manifest.unexplained or "yes"),
        (
            "drift reference",
            f"{found.drift_variables} variables" if found.drift_variables else "no",
        ),
        ("report", ", ".join(found.report) or "no"),
        *(("training: " + name, value) for name, value in _plain(manifest.training)),
        *(("held out: " + name, _figure(value)) for name, value in measured.items()),
        *(("warning", printable(str(line))) for line in _warnings(manifest)),
        *(("change", f"{c.when} {c.what} by {c.who} {_remark(c)}".rstrip()) for c in changes),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {value}" for name, value in lines)


def _plain(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is said of a training in one line each: values, and those one level below."""
    lines = []
    for name, value in training.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        lines += [
            (f"{name} {key}".rstrip(), printable(str(of)))
            for key, of in inner
            if isinstance(of, str | int | float)
        ]
    return lines


def _warnings(manifest: VersionManifest) -> Sequence[Any]:
    lines = manifest.metrics.get("warnings")
    return lines if isinstance(lines, list) else []


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _yes_or_no(count: int) -> str:
    return "yes" if count else "no"


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
        lines.append(f"its scores can't be explained: {manifest.unexplained}")
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


def compared(trial: Trial, *, whole: bool = False) -> str:
    """What the comparison of two versions found; `whole`: all metrics of labelled rows, too."""
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
    labelled = []
    if trial.quality:
        labelled = [*trial.quality.lines, *([_metrics(trial)] if whole else [])]
    return "\n".join((said, _table(head, lines), *labelled, *trial.remarks))


def _metrics(trial: Trial) -> str:
    """The metrics of both versions on labelled rows, and the differences with their intervals."""
    head = ("METRIC", trial.parity.live, trial.parity.candidate, "DIFFERENCE", "95 %", "VERDICT")
    lines = [
        (
            name,
            _figure(of.other),
            _figure(of.new),
            f"{of.difference:+.4f}",
            f"{of.low:+.4f} to {of.high:+.4f}",
            of.verdict,
        )
        for name, of in trial.quality.comparison.measures.items()
    ]
    return _table(head, lines)


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
