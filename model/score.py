"""Score a CSV file of readings: `python -m model.score --help`."""

import argparse
import errno
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from tqdm import tqdm

from model import catalog
from model.bulk.outcome import by_reason
from model.bulk.output import STREAM, whole_file
from model.bulk.workers import Done, Work, peak_memory, scored
from model.cli import Exit, SignalFlag, os_errors_exit
from model.errors import ModelRefused
from model.registry import check_model
from model.tables.blocks import blocks, identity, read_header
from model.tables.errors import TableRefused

# More rows at a time take more memory (667 MiB in all at 20,000) and were not clearly quicker.
_CHUNK_ROWS: Final = 5_000
_BUFFER: Final = 1 << 20
# How the warnings of categories begin, that of any scorer.
_UNSEEN: Final = "unseen-category:"

_DESCRIPTION: Final = """\
Score each row of a CSV file that has the ten fields of a reading as columns, in any order.
The output has the rows as they were, in their order, and three columns more: `negative` and
`positive`, the probabilities that the camera's and the network's reading is right, and
`error`, which says as "field: reason" why a row has no scores. Bad rows do not stop the run;
at its end they are counted by their reasons. The output appears when all is done; a run that
breaks off or is stopped leaves nothing behind.
"""
_EPILOG: Final = """\
exit status: 0 done, 1 done but too many rows are bad: all of them, or a greater share than
--max-bad (the output is written all the same), 2 wrong usage, 65 the input is no such table or the
model is refused, 66 the input can't be read, 70 a worker died, 73 the output can't be
created, 74 it can't be written, 130 Ctrl-C, 143 SIGTERM.
"""


class Summary:
    """What a run amounted to."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._rows = 0
        self._faults: Counter[str] = Counter()
        self._warnings: Counter[str] = Counter()
        self._peaks: dict[int, int] = {}

    def add(self, done: Done) -> None:
        """Count one block."""
        self._rows += done.outcome.rows
        self._faults.update(done.outcome.faults)
        self._warnings.update(done.outcome.warnings)
        self._peaks[done.process] = done.peak_memory

    def text(self) -> str:
        """The bad rows by their reasons, and the last line."""
        seconds = time.monotonic() - self._began
        memory = (peak_memory() + sum(self._peaks.values())) / 2**20
        return (
            f"{by_reason(self._faults)}"
            f"{self._rows} rows in {seconds:.2f} s ({self._rows / seconds:.0f} rows/s); "
            f"bad rows: {self._faults.total()}; "
            f"rows with unseen categories: {self._counts(unseen=True)}; "
            f"rows with other warnings: {self._counts(unseen=False)}; "
            f"peak memory of {1 + len(self._peaks)} processes: {memory:.0f} MiB"
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
    stopped = SignalFlag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopped)
    try:
        summary = _run(options, stopped)
        sys.stderr.write(f"{summary.text()}\n")
        summary.check(options.max_bad)
    except Exit as error:
        sys.stderr.write(f"{options.prog}: {error}\n")
        return error.status
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m model.score",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(prog=parser.prog)
    parser.add_argument("input", type=Path, help="CSV file in UTF-8; - is standard input")
    parser.add_argument("output", type=Path, help="CSV file to write; - is standard output")
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
        "--processes", type=_positive, default=_cpus(), help="default: one for each CPU"
    )
    parser.add_argument(
        "--chunk-rows",
        type=_positive,
        default=_CHUNK_ROWS,
        help=f"rows scored at a time; more take more memory (default: {_CHUNK_ROWS})",
    )
    parser.add_argument(
        "--max-bad",
        type=_share,
        metavar="SHARE",
        help="share of bad rows, 0 to 1, above which the run fails (default: only if all are bad)",
    )
    parser.add_argument("--no-progress", action="store_true", help="draw no progress bar")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    with suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (share := float(text)) <= 1:
            return share
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _run(options: argparse.Namespace, stopped: SignalFlag) -> Summary:
    with os_errors_exit(66, options.input), _source(options.input) as source:
        size = None if options.input == STREAM else os.fstat(source.fileno()).st_size
        # What is left to be written when the file is closed is written, not created.
        with os_errors_exit(74, options.output), ExitStack() as writing:
            with os_errors_exit(73, options.output):
                target = writing.enter_context(whole_file(options.output))
            bar = tqdm(
                total=size,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                disable=True if options.no_progress else None,
            )
            with bar, _refusals(options.input):
                return _score(options, source, target, bar, stopped)


def _score(
    options: argparse.Namespace,
    source: BinaryIO,
    target: BinaryIO,
    bar: "tqdm[NoReturn]",
    stopped: SignalFlag,
) -> Summary:
    summary = Summary()
    header = read_header(source)
    bar.update(len(header))
    if options.model is not None:
        check_model(options.model, options.positive_class, options.name)
    model = options.model or catalog.entry(options.name).bundled
    if model is None:
        raise Exit(2, f"{options.name} has no bundled model: name one by --model")
    work = Work(options.name, str(model), header, positive_class=options.positive_class)
    if _is_shareable(options.input, source):
        work = work._replace(file=str(options.input), state=identity(source))
    waiting = blocks(source, options.chunk_rows)
    for number, done in enumerate(scored(work, waiting, options.processes)):
        if number == 0:
            target.write(done.outcome.header)
        target.write(done.outcome.text)
        summary.add(done)
        bar.update(done.size)
        stopped.check()
    return summary


def _is_shareable(path: Path, source: BinaryIO) -> bool:
    """Whether worker processes that open the path get the file that is read here."""
    # /dev/fd/3 and /proc/self/fd/3 are other files, or none, in another process.
    of_a_process = path.absolute().parts[1:2] in (("dev",), ("proc",))
    if path == STREAM or of_a_process or not path.is_file():
        return False
    with path.open("rb") as again:
        return identity(again) == identity(source)


@contextmanager
def _source(path: Path) -> Iterator[BinaryIO]:
    if path == STREAM:
        if sys.stdin is None:  # python could not open it
            raise OSError(errno.EBADF, "it is closed")
        yield sys.stdin.buffer
        return
    with path.open("rb", buffering=_BUFFER) as file:
        yield file


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
