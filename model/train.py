"""Train a regno model: `python -m model.train --help`."""

import hashlib
import shlex
import shutil
import signal
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tqdm import tqdm

from model import candidates
from model.bulk.errors import TableRefused
from model.bulk.outcome import by_reason
from model.cli import Exit, SignalFlag, os_errors_exit
from model.errors import DataRefused, ModelRefused, ParametersRefused
from model.registry import Refused, Registry, RegistryError, Unavailable, open_registry
from model.regno.evaluation import plot
from model.regno.evaluation.report import Report, Source
from model.regno.scorer import RegnoScorer
from model.regno.training import bundled, candidate, labelled, parameters
from model.regno.training.candidate import Job
from model.regno.training.labelled import Fault, Labelled
from model.train_options import LABEL, NAME, ROWS, parsed

OUT: Final = Path(bundled.__file__).parent
_SHOWN_FAULTS: Final = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; print a summary. Returns the exit status."""
    options = parsed(arguments)
    stopped, before = SignalFlag(), {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stopped)
    try:
        with _refusals(stopped):
            _check_extras()
            _own(options, stopped) if options.data else _bundled(options, stopped)
    except Exit as error:
        sys.stderr.write(f"python -m model.train: {error}\n")
        return error.status
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _check_extras() -> None:
    """Before hours of training, not after them."""
    if not plot.can_be_drawn():
        raise Exit(69, "matplotlib draws the report's plot and is not installed: run make setup")


def _bundled(options: Namespace, stopped: SignalFlag) -> None:
    started, out = time.monotonic(), options.out or OUT
    rows = ROWS if options.rows is None else options.rows
    with os_errors_exit(73, out):
        progress = not options.no_progress
        papers = bundled.make(out, rows, options.seed, progress=progress, stopped=stopped)
        size = (out / papers.file).stat().st_size
    print(f"{papers.version}: {size / 1e6:.2f} MB in {out}, {time.monotonic() - started:.0f} s")
    for name, figures in papers.metrics["contenders"].items():
        shown = ", ".join(f"{key} {value:.4f}" for key, value in figures.items() if key != "rows")
        print(f"  {name}: {shown}")


def _own(options: Namespace, stopped: SignalFlag) -> None:
    started = time.monotonic()
    chosen = parameters.load(options.parameters)
    registry = _registry(options)
    against = _against(options, registry)
    with _new_folder(options.out) as folder:
        rows, source = _rows(options, stopped)
        progress = not options.no_progress
        job = Job(chosen, options.seed, source, against, progress, stopped)
        made = candidate.make(rows, job, folder)
        stopped.check()
        out = options.out or Path(made.version)
        folder.replace(out.resolve())
    _summary(made, out, time.monotonic() - started)
    if options.add and registry:
        _add(registry, options, out)


def _registry(options: Namespace) -> Registry | None:
    """The registry that is named, if any. Raises Exit for a name that can't be one."""
    if not options.models:
        return None
    try:
        return open_registry(options.models, options.name or NAME, options.cache)
    except Refused as error:
        raise Exit(2, str(error)) from error


def _against(options: Namespace, registry: Registry | None) -> RegnoScorer | None:
    """The model to compare with: of a file, else the registry's live one, else none."""
    if options.against:
        return candidates.load(options.against, options.positive_class or "")
    if registry is None:
        return None
    live = candidates.live(registry)
    if live is None:
        sys.stderr.write(f"{registry.where} has no live version to compare with\n")
    return live


def _add(registry: Registry, options: Namespace, out: Path) -> None:
    """Add what lies in `out` to the registry. Should that fail, hours of work are not lost."""
    name, model = options.name or NAME, out / candidate.MODEL
    try:
        version = candidates.add(registry, model, name)
    except (RegistryError, ModelRefused) as error:
        status = 69 if isinstance(error, Unavailable) else 65
        again = _command("add", model, options)
        raise Exit(status, f"{error}\nThe model is in {out}; to add it: {again}") from error
    print(f"{version} is a candidate in {registry.where}; report: {out / candidate.REPORT_TEXT}")
    print(f"  to make it live: {_command('promote', version, options)}")


def _command(what: str, which: object, options: Namespace) -> str:
    """A command of the registry's, as a shell takes it."""
    named = [options.models, *(("--name", options.name) if options.name else ())]
    return shlex.join(["python", "-m", "model.registry", what, str(which), "--models", *named])


def _rows(options: Namespace, stopped: SignalFlag) -> tuple[Labelled, Source]:
    """The good rows. Raises Exit when there are bad ones that are not to be left out."""
    path, label = options.data, options.label or LABEL
    with os_errors_exit(66, path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.seek(0, 2)
        file.seek(0)
        disable = True if options.no_progress else None
        with tqdm(total=size, desc="Reading", unit="B", unit_scale=True, disable=disable) as bar:

            def told(size: int) -> None:
                bar.update(size)
                stopped.check()

            rows, faults, warnings, plate_lengths = labelled.read(file, label, told)
    reasons = Counter(fault.reason for fault in faults)
    if faults:
        _tell(path, faults, reasons, len(rows.labels), skipping=options.skip_bad)
    left_out, count = dict(reasons.most_common()), len(rows.labels)
    return rows, Source(path.name, digest, label, count, left_out, warnings, plate_lengths)


def _tell(
    path: Path, faults: Sequence[Fault], reasons: Counter[str], good: int, *, skipping: bool
) -> None:
    """Tell of bad rows: where the first are, and how many for which reason."""
    lines = [f"  line {fault.line}: {fault.reason}\n" for fault in faults[:_SHOWN_FAULTS]]
    if len(faults) > _SHOWN_FAULTS:
        lines += [f"  and {len(faults) - _SHOWN_FAULTS} more; in all\n", by_reason(reasons)]
    count = f"{path}: {len(faults)} of {good + len(faults)} rows are bad"
    if skipping and good:
        sys.stderr.write("".join([f"{count} and left out\n", *lines]))
        return
    hint = "; --skip-bad leaves them out" if good else ""
    raise Exit(65, "".join([f"{count}{hint}\n", *lines]).rstrip("\n"))


@contextmanager
def _new_folder(path: Path | None) -> Iterator[Path]:
    """A folder to be moved to `path` when all is well, and removed if it was not.

    Without a path it is moved somewhere in the working folder.
    """
    place = path or Path()
    with os_errors_exit(73, place):
        if path and path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise Exit(73, f"{path} is there already; name a new or empty folder")
        parent = path.resolve().parent if path else Path.cwd()
        parent.mkdir(parents=True, exist_ok=True)
        aside = parent / f".{path.name if path else NAME}.{time.time_ns()}.part"
        aside.mkdir()
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _refusals(stopped: SignalFlag) -> Iterator[None]:
    try:
        yield
    except (TableRefused, DataRefused) as error:
        raise Exit(65, f"the data is refused: {error}") from error
    except ModelRefused as error:
        raise Exit(65, str(error)) from error
    except RegistryError as error:
        raise Exit(69 if isinstance(error, Unavailable) else 65, str(error)) from error
    except ParametersRefused as error:
        raise Exit(78, str(error)) from error
    except KeyboardInterrupt:
        # What CatBoost makes of any signal whose handler raises.
        stopped.check()
        raise


def _summary(made: Report, out: Path, seconds: float) -> None:
    parts = ", ".join(f"{name.replace('_', '-')} {p.rows}" for name, p in made.parts.items())
    print(f"{made.version} in {out}, {seconds:.0f} s; rows: {parts}; trees: {made.trees.kept}")
    figures = made.contenders["model"]
    print("  " + ", ".join(f"{key} {value:.4f}" for key, value in figures.items() if key != "rows"))
    if made.against:
        for name, found in made.against.measures.items():
            interval = f"[{found.low:+.4f}, {found.high:+.4f}]"
            print(
                f"  {name} against {made.against.version}: {found.difference:+.4f} "
                f"{interval}: {found.verdict}"
            )
    for warning in made.warnings:
        sys.stderr.write(f"warning: {warning}\n")


if __name__ == "__main__":
    sys.exit(main())
