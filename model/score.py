"""Score a file of readings: `python -m model.score --help`."""

import argparse
import errno
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from math import inf
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, NoReturn

from tqdm import tqdm

from model import catalog
from model.bulk.outcome import by_reason
from model.bulk.output import STREAM, whole_file
from model.bulk.workers import CHUNK_ROWS, ERROR, Done, Work, Workers, peak_memory, workers
from model.cli import (
    Exit,
    SignalFlag,
    command_parser,
    exit_status,
    os_errors_exit,
    share,
    stop_signals,
)
from model.errors import ModelRefused
from model.registry import check_model
from model.tables.errors import TableRefused
from model.tables.format import Format, add_format_options, options_of
from model.tables.options import FORMATS
from model.tables.output import Renderer, output_format, unwritable, writer
from model.tables.table import Table, open_table

# The costs that the service has by default.
_COSTS: Final = {
    "network_wrong": (1.0, "a wrong reading of the network's"),
    "camera_wrong": (1.0, "a wrong reading of the camera's"),
    "manual": (0.3, "a manual review"),
}
# How the warnings of categories begin, that of any scorer.
_UNSEEN: Final = "unseen-category:"

_DESCRIPTION: Final = """\
Score each row of a file that has the ten fields of a reading as columns, in any order: CSV with any
separator in any encoding, JSON lines, Parquet or Excel (.xlsx), the first two also in gzip. The
detected form is printed; --sep, --encoding, --decimal, --dates and --sheet override it.
The output has the rows as they were, in their order, and three columns more: `negative` and
`positive`, the probabilities that the camera's and the network's reading is right, and
`error`, which says as "field: reason" why a row has no scores. Its form is that of the input,
unless its suffix (.csv, .tsv, .jsonl, .parquet, .xlsx, .gz behind it) or --format names another.
With --detail there are `decision`, `margin`, `warnings` and `model` (the version), too. Bad rows do
not stop the run; at its end they are counted by their reasons. The output appears when all is done;
a run that breaks off or is stopped leaves nothing behind.
"""
_EPILOG: Final = """\
exit status: 0 done, 1 done but too many rows are bad: all of them, or a greater share than
--max-bad (the output is written all the same), 2 wrong usage, 65 the input is no such table or the
model is refused, 66 the input can't be read, 70 a worker process died, 73 the output
can't be created, 74 it can't be written, 130 Ctrl-C, 141 nobody reads the output any more, 143
SIGTERM.
"""


class Summary:
    """What a run amounted to."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._began = time.monotonic()
        self._rows = self._empty = 0
        self._faults: Counter[str] = Counter()
        self._first: dict[str, int] = {}
        self._warnings: Counter[str] = Counter()
        self._peaks: dict[int, int] = {}

    def add(self, done: Done) -> None:
        """Count one parcel."""
        self._rows += done.outcome.rows
        self._empty += done.outcome.empty
        self._faults.update(done.outcome.faults)
        self._first = {**done.outcome.first, **self._first}
        self._warnings.update(done.outcome.warnings)
        self._peaks[done.process] = done.peak_memory

    def text(self) -> str:
        """The bad rows by their reasons, and the last line."""
        seconds = time.monotonic() - self._began
        left_out = f"empty rows left out: {self._empty}; " if self._empty else ""
        first = {reason: self._form.place(line) for reason, line in self._first.items()}
        peaks = {**self._peaks, os.getpid(): peak_memory()}
        return (
            f"{by_reason(self._faults, first)}"
            f"{self._rows} rows in {seconds:.2f} s ({self._rows / seconds:.0f} rows/s); "
            f"bad rows: {self._faults.total()}; {left_out}"
            f"rows with unseen categories: {self._counts(unseen=True)}; "
            f"rows with other warnings: {self._counts(unseen=False)}; "
            f"peak memory of {len(peaks)} process{'es' if len(peaks) > 1 else ''}: "
            f"{sum(peaks.values()) / 2**20:.0f} MiB"
        )

    def check(self, max_bad: float | None) -> None:
        """Raise Exit when too many rows are bad: all of them, or a greater share than the limit."""
        bad, rows = self._faults.total(), self._rows
        if max_bad is None and 0 < rows == bad:
            raise Exit(1, "all rows are bad")
        if max_bad is not None and bad > max_bad * rows:
            raise Exit(1, f"{bad} of {rows} rows are bad: a share above {max_bad:g} (--max-bad)")

    def _counts(self, *, unseen: bool) -> str:
        """Rows by what their category is of, or by their other warnings."""
        counts = [
            f"{warning.removeprefix(_UNSEEN)} {count}"
            for warning, count in sorted(self._warnings.items())
            if warning.startswith(_UNSEEN) == unseen
        ]
        return ", ".join(counts) or "none"


def main(arguments: Sequence[str] | None = None) -> int:
    """Score a file as the command line says. Returns the exit status."""
    options = _options(arguments)

    def run() -> None:
        with stop_signals() as stopped:
            summary = _run(options, stopped)
        sys.stderr.write(f"{summary.text()}\n")
        summary.check(options.max_bad)

    return exit_status(options.prog, run)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m model.score", _DESCRIPTION, _EPILOG)
    parser.add_argument("input", type=Path, help="file of readings; - is standard input")
    parser.add_argument("output", type=Path, help="file to write; - is standard output")
    add_format_options(parser)
    parser.add_argument(
        "--format", choices=FORMATS, default="", help="of the output (default: by its suffix)"
    )
    parser.add_argument(
        "--detail",
        action="store_true",
        help="add the decision, its margin, the warnings and the model's version; slower",
    )
    for name, (cost, what) in _COSTS.items():
        option = f"--cost-{name.replace('_', '-')}"
        help_text = f"of {what}, for --detail (default: the manifest's thresholds, else {cost:g})"
        parser.add_argument(option, type=_cost, metavar="COST", help=help_text)
    parser.add_argument(
        "--name",
        choices=catalog.entries(),
        default=catalog.DEFAULT,
        help=f"which model of the catalog (default: {catalog.DEFAULT})",
    )
    parser.add_argument("--model", type=Path, help="a model file (default: the bundled one)")
    parser.add_argument(
        "--positive-class",
        default="",
        metavar="CLASS",
        help="the class that means that the network is right, if the model's are not 0 and 1",
    )
    parser.add_argument(
        "--processes",
        type=_positive,
        default=_cpus(),
        help="worker processes (default: one for each CPU)",
    )
    parser.add_argument(
        "--chunk-rows",
        type=_positive,
        default=CHUNK_ROWS,
        help=f"rows scored at a time; more take more memory (default: {CHUNK_ROWS})",
    )
    parser.add_argument(
        "--max-bad",
        type=share,
        metavar="SHARE",
        help="share of bad rows, 0 to 1, above which the run fails (default: only if all are bad)",
    )
    parser.add_argument("--no-progress", action="store_true", help="draw no progress bar")
    options = parser.parse_args(arguments)
    if 0 in (options.cost_network_wrong, options.cost_camera_wrong):
        parser.error("--cost-network-wrong and --cost-camera-wrong must be above 0")
    if not options.format and (wrong := unwritable(options.output)):
        parser.error(wrong)
    return options


def _positive(text: str) -> int:
    with suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _cost(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (cost := float(text)) < inf:
            return cost
    raise argparse.ArgumentTypeError(f"{text!r} is not a cost: a number from 0 on")


def _run(options: argparse.Namespace, stopped: SignalFlag) -> Summary:
    model = catalog.entry(options.name)
    if not (artifact := options.model or model.bundled):
        raise Exit(2, f"{options.name} has no bundled model: name one by --model")
    _check_there(options.input)
    with _refusals(options.input), workers(options.name, options.processes) as pool:
        if options.model is not None and not _is_same(options.model, model.bundled):
            check_model(options.model, options.positive_class, options.name)
        with ExitStack() as reading:
            with os_errors_exit(66, options.input):
                opened = open_table(options.input, pool.types.request, options_of(options))
                table = reading.enter_context(opened)
            if not table.layout.format.is_plain:
                sys.stderr.write(f"{options.input}: {table.layout.format}\n")
            # What is left to be written when the file is closed is written, not created.
            with os_errors_exit(74, options.output), ExitStack() as writing:
                with os_errors_exit(73, options.output):
                    file = writing.enter_context(whole_file(options.output))
                return _score(options, _Job(artifact, pool, table, file), stopped)


class _Job(NamedTuple):
    """The model's file, who scores, what is read and written."""

    artifact: Path
    workers: Workers
    table: Table
    file: BinaryIO


def _check_there(path: Path) -> None:
    """Raise Exit at once if the input can't be read."""
    with os_errors_exit(66, path):
        if path != STREAM:
            path.open("rb").close()
        elif sys.stdin is None:  # python could not open it
            raise OSError(errno.EBADF, "it is closed")


def _score(options: argparse.Namespace, job: _Job, stopped: SignalFlag) -> Summary:
    table, types = job.table, job.workers.types
    out = output_format(options.output, table.layout.format, options.format)
    new = types.detail if options.detail else types.score
    renderer = Renderer(table.layout, out, [*new, ERROR])
    work = Work(
        options.name,
        str(job.artifact),
        table.layout,
        renderer,
        positive_class=options.positive_class,
        costs=_costs(options) if options.detail else None,
        by_costs=any(getattr(options, f"cost_{name}") is not None for name in _COSTS),
    )
    summary, target = Summary(table.layout.format), writer(job.file, out, renderer)
    with _bar(options, table.source.size) as bar:
        for done in job.workers.scored(work, table.parcels(options.chunk_rows)):
            target.write(done.outcome.content)
            summary.add(done)
            bar.update(table.source.read_more())
            stopped.check()
    target.close()
    return summary


def _costs(options: argparse.Namespace) -> dict[str, float]:
    given = {name: getattr(options, f"cost_{name}") for name in _COSTS}
    return {name: _COSTS[name][0] if cost is None else cost for name, cost in given.items()}


def _bar(options: argparse.Namespace, size: int | None) -> "tqdm[NoReturn]":
    disable = True if options.no_progress else None
    return tqdm(total=size, unit="B", unit_scale=True, unit_divisor=1024, disable=disable)


def _is_same(path: Path, bundled: Path | None) -> bool:
    """Whether a path is the bundled model's, which needs no validation."""
    return bundled is not None and path.exists() and path.samefile(bundled)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except TableRefused as error:
        raise Exit(65, f"{path} is refused: {error}") from error
    except ModelRefused as error:
        raise Exit(65, str(error)) from error
    except BrokenProcessPool as error:
        raise Exit(70, "a worker process died; was there memory enough?") from error


if __name__ == "__main__":
    sys.exit(main())
