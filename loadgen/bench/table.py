"""`python -m loadgen.bench.table`: the time of `python -m model.score` for a whole file.

In each round bare CatBoost predicts the same rows from a Pool in memory. The difference is the time
for reading, validation, features and writing. Every score of the file is compared with CatBoost's.

Exit codes: 0 measured, 1 the scores differ, 2 something is missing.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final, NamedTuple

from loadgen.bench.check import TOLERANCE
from loadgen.common import machine
from loadgen.common.errors import CannotStart, WrongAnswers
from loadgen.common.options import MODEL, ROOT, ROWS, positive

_PEAK: Final = re.compile(r"peak memory of \d+ process(?:es)?: (\d+) MiB")
# Threads of CatBoost: its own choice, one for each core, or a single one.
_THREADS: Final = {"all threads": -1, "one thread": 1}


class Round(NamedTuple):
    """Seconds of `model.score` and, by threads, of bare CatBoost; peak memory in MiB."""

    seconds: float
    bare: dict[str, float]
    peak_mib: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line says. Returns the exit code."""
    options = _options(arguments)
    try:
        rounds = list(_rounds(options))
    except CannotStart as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2
    except WrongAnswers as error:
        sys.stderr.write(f"Not measured: the scores are wrong. {error}\n")
        return 1
    sys.stdout.write(_report(rounds, options.rows_wanted))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadgen.bench.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--rows-wanted", type=positive, default=1_000_000, metavar="N", help="in the file [1000000]"
    )
    add("--rounds", type=positive, default=5, metavar="N", help="times that it is scored [5]")
    add("--model", type=Path, default=MODEL, metavar="PATH",
        help="a .cbm file; the bundled one by default")  # fmt: skip
    add("--rows", type=Path, default=ROWS, metavar="PATH",
        help="CSV of sample rows, repeated to make the file")  # fmt: skip
    return parser.parse_args(arguments)


def _rounds(options: argparse.Namespace) -> Iterator[Round]:
    with TemporaryDirectory(prefix="bench-") as name:
        given, scored = Path(name) / "in.csv", Path(name) / "out.csv"
        sample, times = _write(given, options.rows, options.rows_wanted)
        options.rows_wanted = sample * times
        with _bare(options, times) as (bare, expected):
            for number in range(options.rounds):
                _progress(f"round {number + 1}/{options.rounds}")
                yield _round(bare, options.model, given, scored)
                _compare(scored, expected, options.rows_wanted)


def _write(path: Path, sample: Path, wanted: int) -> tuple[int, int]:
    """Repeat the sample up to at least `wanted` rows: the rows of the sample, the repetitions."""
    try:
        header, _, body = sample.read_bytes().partition(b"\n")
    except OSError as error:
        raise CannotStart(f"The rows can't be read: {sample}: {error.strerror}") from error
    body = body if body.endswith(b"\n") else body + b"\n"
    count = body.count(b"\n")
    times = max(1, -(-wanted // max(count, 1)))
    with path.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(times):
            file.write(body)
    return count, times


@contextmanager
def _bare(
    options: argparse.Namespace, times: int
) -> Iterator[tuple["subprocess.Popen[str]", list[float]]]:
    """The program that predicts from a Pool in memory, and its scores of the sample."""
    command = [sys.executable, "-m", "loadgen.bench.baselines.bare"]
    arguments = [str(options.model), str(options.rows), str(times)]
    with subprocess.Popen(
        command + arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            expected = _answer(process)
            _answer(process)  # that it is ready
            yield process, expected
        finally:
            process.kill()


def _answer(process: "subprocess.Popen[str]", question: str = "") -> Any:
    if process.stdin is None or process.stdout is None:
        raise CannotStart("bare CatBoost has no pipes")
    process.stdin.write(question)
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise CannotStart("bare CatBoost did not start; its error stands above")
    return json.loads(line)


def _round(bare: "subprocess.Popen[str]", model: Path, given: Path, scored: Path) -> Round:
    seconds = {name: _answer(bare, f"{threads}\n") for name, threads in _THREADS.items()}
    began = perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "model.score", given, scored, "--model", model, "--no-progress"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    taken = perf_counter() - began
    peak = _PEAK.search(done.stderr)
    if done.returncode or not peak:
        raise CannotStart(f"model.score failed: {done.stderr.strip()}")
    return Round(taken, seconds, int(peak[1]))


def _compare(scored: Path, expected: Sequence[float], rows: int) -> None:
    number = -1
    with scored.open("rb") as file:
        next(file)
        for number, (line, want) in enumerate(zip(file, cycle(expected), strict=False)):
            # The last three cells are negative, positive and the error, here none.
            if not abs(float(line.rsplit(b",", 2)[1]) - want) <= TOLERANCE:
                raise WrongAnswers(f"Row {number} has another score than {want!r}")
    if number + 1 != rows:
        raise WrongAnswers(f"{number + 1} of {rows} rows were scored")


def _report(rounds: Sequence[Round], rows: int) -> str:
    seconds = [one.seconds for one in rounds]
    peak = max(one.peak_mib for one in rounds)
    lines = [
        f"\n{machine.summary(machine.describe())}\n",
        f"{rows:,} rows, {rows / median(seconds):,.0f} rows/s, medians of {len(rounds)} rounds",
        f"peak memory of all processes {peak} MiB\n",
        f"{'seconds':32} {'median':>7}  each round",
        _line("model.score", seconds),
        *(_line(f"bare CatBoost, {name}", [r.bare[name] for r in rounds]) for name in _THREADS),
        *(
            _line(f"model.score ÷ bare, {name}", [r.seconds / r.bare[name] for r in rounds])
            for name in _THREADS
        ),
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, values: Sequence[float]) -> str:
    return f"{name:32} {median(values):7.2f}  " + "  ".join(f"{value:.2f}" for value in values)


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
