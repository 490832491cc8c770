"""The command `python -m model.train`."""

import shlex
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isnan
from pathlib import Path

import msgspec

from model.cli import Exit, SignalFlag, exit_status, os_errors_exit, stop_signals
from model.errors import DataRefused, ModelRefused, ParametersRefused
from model.registry import (
    Refused,
    Registry,
    RegistryError,
    Unavailable,
    check_model,
    open_registry,
)
from model.registry.ingest import ingest
from model.regno.dataset.rows import Choices, LabelledRows
from model.regno.dataset.weights import weights_of
from model.regno.evaluation.labelled_file import Reading, read_file
from model.regno.evaluation.report import DOUBLING, Report, Source, spread
from model.regno.request import FIELDS
from model.regno.scorer import BUNDLED, RegnoScorer
from model.regno.training import bundled, candidate, folds, parameters
from model.regno.training.fit import Run
from model.regno.training.learner import Learner
from model.regno.training.measuring import Job
from model.regno.training.options import LABEL, NAME, ROWS, STUDY
from model.regno.training.tracking import Tracked, tracked
from model.tables.errors import TableRefused
from model.tables.format import options_of


def run(options: Namespace, tracking_uri: str = "") -> int:
    """Train as the options say; print a summary. Returns the exit status.

    A training on own rows is logged on the MLflow server of `tracking_uri`, if that is given.
    """

    def train() -> None:
        with stop_signals() as signals, _refusals(signals):
            if options.data:
                with tracked(tracking_uri) as tracked_run:
                    _train_on_file(options, signals, tracked_run)
            else:
                _train_bundled(options, signals)

    return exit_status(options.prog, train)


def _train_bundled(options: Namespace, signals: SignalFlag) -> None:
    started, out = time.monotonic(), options.out or BUNDLED.parent
    rows = ROWS if options.rows is None else options.rows
    with os_errors_exit(73, out):
        recipe = bundled.Recipe(rows, options.seed, options.features or "v1")
        made = bundled.make(out, recipe, _run(options, signals))
        size = (out / made.file).stat().st_size
    print(f"{made.version}: {size / 1e6:.2f} MB in {out}, {time.monotonic() - started:.0f} s")
    for name, measures in {"model": made.metrics["model"], **made.metrics["baselines"]}.items():
        print(f"  {name}: {_listed(measures)}")


def _run(options: Namespace, signals: SignalFlag) -> Run:
    return Run(progress=not options.no_progress, signals=signals)


def _listed(measures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in measures.items() if name != "rows")


def _train_on_file(options: Namespace, signals: SignalFlag, tracked_run: Tracked | None) -> None:
    started = time.monotonic()
    chosen = parameters.load(options.parameters, options.without or (), options.features)
    folds.check(options.folds, chosen.split)
    registry = _registry(options)
    against = _against(options, registry)
    with _new_folder(options.out, STUDY if options.tune else None) as folder:
        rows, source = _rows(options, signals)
        learner = Learner(chosen, options.seed, _run(options, signals))
        study = options.out / STUDY if options.tune else None
        job = Job(
            learner=learner,
            source=source,
            against=against,
            refit=options.refit,
            calibrate=options.calibrate,
            folds=options.folds,
            learning_curve=options.learning_curve,
            trials=options.tune,
            study=study,
            started=started,
            costs=options.costs,
        )
        made = candidate.make(rows, job, folder)
        signals.check()
        out = options.out or Path(made.version)
        if study:
            study.replace(folder / STUDY)
        folder.replace(out.resolve())
    _summary(made, out, time.monotonic() - started)
    if options.add and registry:
        _add(registry, options, out)
    if tracked_run:
        tracked_run.log(made, out)
        print(f"run {tracked_run.run} of {tracked_run.where}")


def _registry(options: Namespace) -> Registry | None:
    """The registry that --models names, if any. Raises Exit for a name that can't be one."""
    if not options.models:
        return None
    try:
        return open_registry(options.models, options.name or NAME, options.cache)
    except Refused as error:
        raise Exit(2, str(error)) from error


def _against(options: Namespace, registry: Registry | None) -> RegnoScorer | None:
    """The model to compare with: of a file, else the registry's live one, else none."""
    if options.against:
        return _loaded(options.against, options.positive_class or "")
    if registry is None:
        return None
    if not (live := registry.aliases().live):
        sys.stderr.write(f"{registry.where} has no live version to compare with\n")
        return None
    return _loaded(registry.fetch(live))


def _loaded(path: Path, positive_class: str = "") -> RegnoScorer:
    """The scorer of a model file that was validated first. Raises ModelRefused."""
    check_model(path, positive_class)
    return RegnoScorer.load(path, positive_class)


def _add(registry: Registry, options: Namespace, out: Path) -> None:
    """Add the model in `out` to the registry. If that fails, say how to add it: it took hours."""
    model = out / candidate.MODEL
    try:
        files = ingest(model, options.name or NAME)
        registry.add(files)
        version = files.described().version
    except (RegistryError, ModelRefused) as error:
        status = 69 if isinstance(error, Unavailable) else 65
        again = _command("add", model, options)
        raise Exit(status, f"{error}\nThe model is in {out}; to add it: {again}") from error
    print(f"{version} is a candidate in {registry.where}; report: {out / candidate.REPORT_PAGE}")
    print(f"  to make it live: {_command('promote', version, options)}")


def _command(what: str, which: object, options: Namespace) -> str:
    """A registry command, quoted for a shell."""
    named = [options.models, *(("--name", options.name) if options.name else ())]
    return shlex.join(["python", "-m", "model.registry", what, str(which), "--models", *named])


def _rows(options: Namespace, signals: SignalFlag) -> tuple[LabelledRows, Source]:
    """The good rows. Raises Exit if there are bad ones and --skip-bad is not given."""
    label, weights = options.label or LABEL, options.weights
    if weights in (label, *FIELDS):
        raise Exit(2, f"--weights: {weights} is a field of the reading, or the label")
    reading = Reading(
        label,
        format=options_of(options),
        choices=Choices(options.positive or "", (weights,) if weights else ()),
        skip_bad=options.skip_bad,
        progress=not options.no_progress,
    )
    contents, source = read_file(options.data, reading, signals)
    if not weights:
        return contents.rows, source

    def where(row: int) -> str:
        return contents.format.place(contents.lines[row])

    of_rows = weights_of(contents.extra[weights], weights, where)
    rows = contents.rows._replace(weights=of_rows)
    return rows, msgspec.structs.replace(source, weights=weights)


@contextmanager
def _new_folder(path: Path | None, kept: str | None) -> Iterator[Path]:
    """A temporary folder, for the caller to move to `path`; it is removed if it was not moved.

    Without a path it is made in the working folder. `kept` is a file that `path` may hold already.
    """
    place = path or Path()
    with os_errors_exit(73, place):
        if path and path.exists() and not _is_free(path, kept):
            raise Exit(73, f"{path} is there already; name a new or empty folder")
        parent = path.resolve().parent if path else Path.cwd()
        parent.mkdir(parents=True, exist_ok=True)
        temporary = parent / f".{path.name if path else NAME}.{time.time_ns()}.part"
        temporary.mkdir()
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _is_free(path: Path, kept: str | None) -> bool:
    """Whether it is a folder that holds nothing, or nothing but a kept file and its lock."""
    if not path.is_dir():
        return False
    return all(kept and each.name.startswith(kept) for each in path.iterdir())


@contextmanager
def _refusals(signals: SignalFlag) -> Iterator[None]:
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
        # CatBoost raises it for any signal whose handler raises.
        signals.check()
        raise


def _summary(made: Report, out: Path, seconds: float) -> None:
    parts = ", ".join(f"{name.replace('_', '-')} {p.rows}" for name, p in made.parts.items())
    print(f"{made.version} in {out}, {seconds:.1f} s; rows: {parts}; trees: {made.trees.kept}")
    print(f"  {_listed(made.model)}")
    known = {name: each for name, each in made.intervals.items() if not isnan(each.low)}
    if known:
        between = [f"{name} {each.low:.4f} to {each.high:.4f}" for name, each in known.items()]
        print(f"  95 % intervals: {', '.join(between)}")
    if made.calibration:
        print(f"  before {made.calibration} calibration: {_listed(made.uncalibrated)}")
    if made.search:
        print(
            f"  {made.search.trials} trials: validation log loss {made.search.best:.4f}, "
            f"{made.search.usual:.4f} with the parameters as they were"
        )
    if made.folds:
        means = [f"{name} {mean:.4f} ± {sd:.4f}" for name, (mean, sd) in spread(made.folds).items()]
        print(f"  {len(made.folds)} folds: {', '.join(means[1:])}")
    if made.learning_curve:
        of = made.learning_curve.doubling
        shown = [f"{name} {of[name].difference:+.4f} ({of[name].verdict})" for name in DOUBLING]
        print(f"  with all training rows instead of half of them: {', '.join(shown)}")
    if made.against:
        for name, measure in made.against.measures.items():
            interval = f"[{measure.low:+.4f}, {measure.high:+.4f}]"
            print(
                f"  {name} against {made.against.version}: {measure.difference:+.4f} "
                f"{interval}: {measure.verdict}"
            )
    for warning in made.warnings:
        sys.stderr.write(f"warning: {warning}\n")
