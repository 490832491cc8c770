"""The command `python -m model.digits.train`."""

import shlex
import time
from argparse import Namespace
from pathlib import Path

from tqdm import tqdm

from model.cli import Exit, SignalFlag, exit_status, os_errors_exit, stop_signals
from model.digits.manifest import Manifest
from model.digits.training import candidate, dataset
from model.digits.training.dataset import Data
from model.digits.training.network import Recipe
from model.digits.training.options import NAME
from model.errors import DataRefused, ModelRefused
from model.registry import RegistryError, Unavailable, open_registry
from model.registry.ingest import ingest


def run(options: Namespace) -> int:
    """Train as the options say; print a summary. Returns the exit status."""

    def train() -> None:
        with stop_signals() as signals:
            try:
                _train(options, signals)
            except DataRefused as error:
                raise Exit(65, f"the data is refused: {error}") from error

    return exit_status(options.prog, train)


def _train(options: Namespace, signals: SignalFlag) -> None:
    started = time.monotonic()
    data = _data(options.data)
    recipe = Recipe(options.epochs, options.seed)
    out: Path = options.out or Path(NAME)
    steps = candidate.Steps.of(data, recipe)
    is_plain = options.no_progress or options.print_epochs
    with (
        os_errors_exit(73, out),
        tqdm(disable=is_plain, unit="step", dynamic_ncols=True) as bar,
    ):

        def progress(done: int, total: int) -> None:
            signals.check()
            bar.total = total
            bar.update(done - bar.n)
            if options.print_epochs and (epoch := steps.ended_with(done)):
                print(f"{epoch}/{steps.epochs}", flush=True)

        made = candidate.make(data, out, recipe, progress)
    _print_summary(made, out, time.monotonic() - started)
    if options.add:
        _add(options.models, out / candidate.MODEL)


def _data(path: Path | None) -> Data:
    if path is None:
        return dataset.packaged()
    with os_errors_exit(66, path):
        return dataset.read(path)


def _print_summary(made: Manifest, out: Path, seconds: float) -> None:
    size = (out / made.file).stat().st_size
    print(f"{made.version}: {size / 1000:.0f} kB in {out}, {seconds:.0f} s")
    for name, measures in (("held out", made.metrics), ("redrawn", made.metrics["redrawn"])):
        print(f"  {name}: accuracy {measures['accuracy']:.4f}, log loss {measures['log_loss']:.4f}")


def _add(models: str, model: Path) -> None:
    """Add the version to a registry. If that fails, say how to add it."""
    try:
        registry = open_registry(models, NAME)
        files = ingest(model, NAME)
        registry.add(files)
    except (RegistryError, ModelRefused) as error:
        status = 69 if isinstance(error, Unavailable) else 65
        again = _command("add", model, models)
        raise Exit(
            status, f"{error}\nThe model is in {model.parent}; to add it: {again}"
        ) from error
    version = files.described().version
    print(f"{version} is a candidate in {registry.where}")
    print(f"  to make it live: {_command('promote', version, models)}")


def _command(what: str, which: object, models: str) -> str:
    """A registry command, quoted for a shell."""
    named = ("--models", models, "--name", NAME)
    return shlex.join(["python", "-m", "model.registry", what, str(which), *named])
