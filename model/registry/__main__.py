"""Versions of models and which is live: `python -m model.registry --help`."""

import argparse
import math
import os
import platform
import pwd
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from model import catalog
from model.cli import command_parser, piped_status
from model.errors import GateRefused, ModelRefused
from model.registry import mlflow_source, tables
from model.registry.description import changes_of, described
from model.registry.errors import Conflict, Damaged, RegistryError, RowsRefused, Unavailable
from model.registry.export import NotWritten, export
from model.registry.ingest import FileUnreadable, check_rows, from_source, ingest
from model.registry.promotion import SAMENESS, Rows, Trial
from model.registry.registry import Check, Moved, Registry, open_registry
from model.registry.validation import Samples, validate

_DESCRIPTION: Final = """\
Keep versions of models, and say which one is live. A registry is a folder, or
s3://bucket/prefix, whose address and credentials come from the usual AWS_ variables.
A version never changes. Before a version gets an alias it is loaded and scores the golden
rows, in a process of its own; promote also compares it with the live version: by the labels of
--rows, if it has any, else by how much it decides and scores differently.
"""
_EPILOG: Final = """\
exit status: 0 done, 1 refused or, by verify, found faulty, 2 wrong usage, 65 a file of rows is
no table of readings, 66 a file can't be read, 69 the registry can't be reached, read or written,
or a package is not installed, 73 the folder of an export can't be written, 75 others kept changing
the aliases, 130 Ctrl-C, 143 SIGTERM.
"""
_STATUSES: Final = (
    (RowsRefused, 65),
    (FileUnreadable, 66),
    (Unavailable, 69),
    (NotWritten, 73),
    (Conflict, 75),
)
# What lifts a refusal, by the limit that is exceeded.
_LIFTED_BY: Final = {
    "flips": "--accept-flips, or a greater --max-flips",
    "flips_in_class": "--accept-flips, or a greater --max-flips-in-class",
    "mean_difference": "--accept-flips, or a greater --max-difference",
    "slowdown": "a greater --max-slowdown",
}
_DEFAULTS: Final[Mapping[str, Any]] = {
    "models": "models",
    "name": catalog.DEFAULT,
    "cache": None,
    "json": False,
}
_LIMITS: Final = {
    "flips": ("--max-flips", "share of rows that may be decided differently (default: 0.02)"),
    "flips_in_class": (
        "--max-flips-in-class",
        "the same among the rows of one camera class (default: 0.1)",
    ),
    "mean_difference": (
        "--max-difference",
        "how far probabilities may differ on average (default: 0.05)",
    ),
    "slowdown": ("--max-slowdown", "how many times as long a row may take (default: 3)"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command. Returns the exit status."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _stop)
    return piped_status(lambda: _status(options))


def _status(options: argparse.Namespace) -> int:
    try:
        return int(options.run(_registry(options), options))
    except KeyboardInterrupt:
        return _failed(options, 130, "stopped")
    except GateRefused as refusal:
        return _failed(options, 1, _refusals(refusal))
    except ModelRefused as reason:
        lifted = "\n  lifted by --force only" if "force" in options else ""
        return _failed(options, 1, f"the model is refused: {reason}{lifted}")
    except RegistryError as error:
        status = next((code for kind, code in _STATUSES if isinstance(error, kind)), 1)
        return _failed(options, status, str(error))


def _refusals(refusal: GateRefused) -> str:
    """Each reason on a line of its own, with what lifts it."""
    lines = [
        f"  {breach.reason}\n    lifted by {_LIFTED_BY.get(breach.limit, '--force only')}"
        for breach in refusal.breaches
    ]
    return "\n".join(("the model is refused:", *lines))


def _registry(options: argparse.Namespace, check: Check | None = None) -> Registry:
    return open_registry(options.models, options.name, options.cache, check)


def _stop(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _failed(options: argparse.Namespace, status: int, message: str) -> int:
    sys.stderr.write(f"{options.prog}: {message}\n")
    return status


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m model.registry", _DESCRIPTION, _EPILOG)
    parser.set_defaults(**_DEFAULTS)
    _add_common(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int], description: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=description, description=description)
        sub.set_defaults(run=run)
        _add_common(sub)
        return sub

    command("list", _list, "Show all versions, with aliases and figures.")
    command("show", _show, "Show everything about a version.").add_argument("version")
    _add_compare(
        command("compare", _compare, "Compare version B with version A; either may be an alias.")
    )
    command("history", _history, "Show who changed the aliases, when and why; newest last.")
    _add_file(command("add", _add, "Validate a model file and store it as a version."))
    _add_changes(command)
    remove = command("remove", _remove, "Remove a version that has no alias, permanently.")
    remove.add_argument("version")
    remove.add_argument("--note", default="", help="why, for the history")
    export_ = command("export", _export, "Write a version and its report into a folder.")
    export_.add_argument("version")
    export_.add_argument("folder", type=Path, help="new or empty")
    command("verify", _verify, "Look for faults in all versions and aliases.")
    options = parser.parse_args(arguments)
    for name in ("label", "positive"):
        if getattr(options, name, None) and not options.rows:
            parser.error(f"--{name} needs --rows")
    return options


def _add_file(add: argparse.ArgumentParser) -> None:
    add.add_argument(
        "file",
        help="the model; a manifest.json and a training report in its folder are taken along. "
        "mlflow:URI takes the one at an MLflow URI such as models:/regno/3 or runs:/ID/model",
    )
    add.add_argument("--version", help="default: its manifest's, else one made of its SHA-256")
    add.add_argument(
        "--vocabulary-from",
        type=Path,
        metavar="FILE",
        help="readings with the camera types and classes of its training, if it has no manifest",
    )
    add.add_argument(
        "--reference-from",
        type=Path,
        metavar="FILE",
        help="readings whose distributions become the drift reference, instead of its manifest's",
    )
    add.add_argument(
        "--positive-class",
        default="",
        metavar="CLASS",
        help="the class that means that the network is right, if the model's are not 0 and 1",
    )


def _add_changes(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that change an alias."""
    promote = command("promote", _promote, "Make a version live; the live one becomes previous.")
    promote.add_argument("version")
    _add_rows(promote, "readings to compare it on with the live version")
    _add_limits(promote)
    shadow = command("shadow", _shadow, "Make a version the shadow; without one, have no shadow.")
    shadow.add_argument("version", nargs="?", default="")
    rollback = command("rollback", _rollback, "Make the previous version live again.")
    for changing in (promote, shadow, rollback):
        changing.add_argument("--note", default="", help="why, for the history")
        changing.add_argument(
            "--force", action="store_true", help="override every refusal; the history records it"
        )


def _add_compare(compare: argparse.ArgumentParser) -> None:
    compare.add_argument("against", metavar="A")
    compare.add_argument("version", metavar="B")
    _add_rows(compare, "readings to compare them on")


def _add_rows(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help=f"{what}, in addition to the golden rows; with labels they decide which is better",
    )
    command.add_argument(
        "--label", metavar="COLUMN", help="of --rows (default: label, if there is such a column)"
    )
    command.add_argument(
        "--positive",
        default="",
        metavar="WORD",
        help="the label of --rows that means 1, such as yes or да",
    )


def _add_limits(promote: argparse.ArgumentParser) -> None:
    """Those of the parity gate, named as the service's settings are."""
    limits = promote.add_argument_group(
        "limits of the comparison",
        "If labels show that the version is better, it may decide any number of rows differently; "
        "a version that they show to be worse is refused.",
    )
    limits.add_argument(
        "--accept-flips",
        action="store_true",
        help="lift the limits on decisions and scores",
    )
    for name, (flag, description) in _LIMITS.items():
        limits.add_argument(flag, dest=name, type=_limit, metavar="N", help=description)


def _limit(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (limit := float(text)) < math.inf:
            return limit
    raise argparse.ArgumentTypeError(f"{text} is not a number of 0 or more")


def _add_common(parser: argparse.ArgumentParser) -> None:
    """What may stand before the command or behind it."""
    models, name = _DEFAULTS["models"], _DEFAULTS["name"]
    # Without a default of its own, a command leaves alone what is given before it.
    add = partial(parser.add_argument, default=argparse.SUPPRESS)
    add(
        "--models",
        "--registry",
        metavar="DIR",
        help=f"folder of the registry, or s3://bucket/prefix (default: ./{models})",
    )
    add("--name", help=f"which model's versions (default: {name})")
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        help="for copies of files in S3 (default: ~/.cache/plate-scoring)",
    )
    add("--json", action="store_true", help="print JSON")


def _print(options: argparse.Namespace, value: Any, text: Callable[[], str]) -> None:
    output = msgspec.json.encode(value).decode() if options.json else text()
    sys.stdout.write(f"{output}\n" if output else "")


def _list(registry: Registry, options: argparse.Namespace) -> int:
    aliases, found = registry.aliases(), described(registry)
    result = {"registry": registry.where, "generation": aliases.generation, "versions": found}
    _print(options, result, lambda: tables.versions(registry.where, aliases, found))
    return 0


def _show(registry: Registry, options: argparse.Namespace) -> int:
    version = registry.named(options.version)
    found = [each for each in described(registry) if each.version == version]
    manifest = registry.manifest(version)
    if not found:
        raise Damaged(f"{version} has no manifest: its add is under way or was cut off")
    changes = changes_of(version, registry.history())
    result = msgspec.structs.asdict(found[0]) | {
        "features": manifest.features,
        "training": manifest.training,
        "metrics": manifest.metrics,
        "changes": changes,
    }
    _print(options, result, lambda: tables.version(found[0], manifest, changes))
    return 0


def _compare(registry: Registry, options: argparse.Namespace) -> int:
    against, version = map(registry.named, (options.against, options.version))
    trial = Trial(registry, options.name, _rows(options), against=against)
    path = registry.fetch(version)
    validate(path, name=options.name)
    trial.compare(path)
    _print(options, trial.report(), lambda: tables.compared(trial, whole=True))
    return 0


def _rows(options: argparse.Namespace) -> Rows | None:
    return Rows(options.rows, options.label, options.positive) if options.rows else None


def _remove(registry: Registry, options: argparse.Namespace) -> int:
    registry.remove(options.version, who=_user(), note=options.note)
    _print(options, {"removed": options.version}, lambda: f"{options.version}: removed")
    return 0


def _export(registry: Registry, options: argparse.Namespace) -> int:
    version = registry.named(options.version)
    names = export(registry, version, options.folder)
    result = {"version": version, "folder": str(options.folder), "files": names}
    _print(options, result, lambda: f"{version} in {options.folder}: {', '.join(names)}")
    return 0


def _history(registry: Registry, options: argparse.Namespace) -> int:
    changes = registry.history()
    _print(options, changes, lambda: tables.history(changes))
    return 0


def _add(registry: Registry, options: argparse.Namespace) -> int:
    samples = Samples(options.vocabulary_from, options.reference_from)
    given = dict.fromkeys(samples.files)
    remarks = [each for path in given for each in check_rows(options.name, path)]
    with _model_file(options.file) as (path, source):
        files = ingest(path, options.name, options.version, samples, options.positive_class)
        if source:
            files = from_source(files, source)
    manifest = files.described()
    new = registry.add(files)
    result = {
        "version": manifest.version,
        "sha256": manifest.sha256,
        "classes": manifest.classes,
        "positive_class": manifest.positive_class,
        "unexplained": manifest.unexplained,
        "drift_variables": len(manifest.reference),
        "new": new,
        "remarks": remarks,
    }
    _print(options, result, lambda: "\n".join([tables.added(manifest, new=new), *remarks]))
    return 0


@contextmanager
def _model_file(given: str) -> Iterator[tuple[Path, str]]:
    """The model file that is named, and its source: "" unless it is on an MLflow server."""
    if not given.startswith(mlflow_source.PREFIX):
        yield Path(given), ""
        return
    with mlflow_source.downloaded(given.removeprefix(mlflow_source.PREFIX)) as found:
        yield found


def _promote(registry: Registry, options: argparse.Namespace) -> int:
    limits = {name: getattr(options, name) for name in _LIMITS}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if options.accept_flips:
        given |= dict.fromkeys(SAMENESS, math.inf)
    trial = Trial(registry, options.name, _rows(options), given)
    try:
        moved = _registry(options, trial).promote(
            options.version, instead=trial.live, **_why(options)
        )
    except ModelRefused:
        if trial.parity:
            _print(options, trial.report(), lambda: tables.compared(trial))
        raise
    _print(options, moved._asdict() | trial.report(), lambda: tables.promoted(moved, trial))
    return 0


def _shadow(registry: Registry, options: argparse.Namespace) -> int:
    return _moved(options, registry.shadow(options.version, **_why(options)))


def _rollback(registry: Registry, options: argparse.Namespace) -> int:
    return _moved(options, registry.rollback(**_why(options)))


def _why(options: argparse.Namespace) -> Mapping[str, Any]:
    return {"who": _user(), "note": options.note, "force": options.force}


def _user() -> str:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, a user may have a number only
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def _moved(options: argparse.Namespace, moved: Moved) -> int:
    _print(options, moved._asdict(), lambda: tables.moved(*moved))
    return 0


def _verify(registry: Registry, options: argparse.Namespace) -> int:
    faults = registry.verify()
    result = {"registry": registry.where, "faults": [fault._asdict() for fault in faults]}
    count = len(registry.versions())
    _print(options, result, lambda: tables.faults(count, faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
