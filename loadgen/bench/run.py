"""The course of a run: check all targets, then measure each in every round, one at a time."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple

from loadgen.bench import check, evaluators, wrk
from loadgen.bench.measure import BULK_TARGET, Measurement, Task, measure, without_server
from loadgen.bench.options import Options
from loadgen.bench.targets import TARGETS, Target, running
from loadgen.common import client, rows, usage
from loadgen.common.errors import CannotStart
from loadgen.common.service import KEY, Server

_WARM_UP_SECONDS: Final = 1
_WARM_UP_CONNECTIONS: Final = 64
# Rows whose scores are compared during the warm-up.
_UNDER_LOAD: Final = 16
# wrk does not count requests that are unfinished at its end: with so many they hardly matter.
_BULK_REQUESTS: Final = 20


class Results(NamedTuple):
    """All measurements, and the greatest difference of scores on `checked` rows.

    `evaluators` are what evaluating a model without texts costs, by rows in a call.
    """

    measurements: list[Measurement]
    difference: float
    checked: int
    evaluators: list[dict[str, Any]]


class Files(NamedTuple):
    """The folder of a run, with the bodies of single rows and of arrays by size."""

    folder: Path
    singles: Path
    arrays: dict[int, Path]


def run(options: Options) -> Results:
    """Measure the targets of the options. Raises CannotStart or WrongAnswers."""
    targets = [TARGETS[name] for name in options.targets]
    _require(targets, options)
    readings = rows.read(options.rows)
    sample = readings[: options.sample]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        files = _prepare(Path(name), readings, options)
        compared = _compare(targets, options, files, sample)
        difference = check.greatest_difference(compared)
        under_load = _UnderLoad(
            rows.singles(sample[:_UNDER_LOAD]), next(iter(compared.values()), [])
        )
        measurements = [
            measurement
            for number in range(options.rounds)
            for count in options.worker_counts
            for measurement in _round(
                rotated(targets, number),
                replace(options, worker_counts=(count,)),
                files,
                under_load,
                number,
            )
        ]
    _print("evaluating a model without texts")
    evaluated = evaluators.measure(readings, options.rounds)
    return Results(measurements, difference, len(sample), evaluated)


def rotated(targets: Sequence[Target], number: int) -> list[Target]:
    """The targets in the order of a round: each of them is the first in one of the rounds."""
    first = number % len(targets)
    return [*targets[first:], *targets[:first]]


def _require(targets: Sequence[Target], options: Options) -> None:
    wrk.require()
    for target in targets:
        target.require()
    if not options.model.is_file():
        raise CannotStart(f"There is no model at {options.model}")


def _prepare(folder: Path, readings: list[rows.Row], options: Options) -> Files:
    singles = wrk.write_bodies(rows.singles(readings), folder / "singles")
    sizes = options.bulk if BULK_TARGET in options.targets else ()
    arrays = {
        size: wrk.write_bodies(rows.arrays(readings, size), folder / f"arrays-{size}")
        for size in sizes
    }
    return Files(folder, singles, arrays)


class _UnderLoad(NamedTuple):
    """Bodies with their scores, which are checked while a target is warmed up."""

    bodies: list[bytes]
    scores: list[float]


def _compare(
    targets: Sequence[Target], options: Options, files: Files, readings: Sequence[rows.Row]
) -> dict[str, list[float]]:
    """The scores of the same rows by each target, without other load."""
    bodies = rows.singles(readings)
    scores: dict[str, list[float]] = {}
    for target in targets:
        _print(f"checking the answers of {target.name}")
        with running(target, options, files.folder, bodies[0]) as server:
            check.rejects_wrong_key(server, bodies[0])
            answers = check.positives(server, bodies)
            if target.name == BULK_TARGET:
                array = rows.array(readings)
                scores[f"{target.name}, in an array"] = check.positives_of_array(server, array)
        if target.scores:
            scores[target.name] = answers
    return scores


def _round(
    targets: Sequence[Target],
    options: Options,
    files: Files,
    under_load: _UnderLoad,
    number: int,
) -> Iterator[Measurement]:
    """Start all targets and load them one at a time.

    The targets alternate at every load, so that compared measurements lie seconds apart.
    """
    with ExitStack() as stack:
        servers = [
            stack.enter_context(running(target, options, files.folder, under_load.bodies[0]))
            for target in targets
        ]
        for target, server in zip(targets, servers, strict=True):
            _warm_up(target, server, files, under_load)
            usage.settle(server.pid)
        for connections in options.connections:
            for server in servers:
                load = files.singles, 1, connections, options.seconds
                task = Task(number, options.workers, *load)
                yield _measure(server, task, options)
        for server in servers:
            if server.name == BULK_TARGET:
                yield from _bulk(server, options, files, number)


def _warm_up(target: Target, server: Server, files: Files, under_load: _UnderLoad) -> None:
    """Load a target for a moment; its scores must be the same as without load."""
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(
            wrk.run, server.port, files.singles, _WARM_UP_CONNECTIONS, _WARM_UP_SECONDS
        )
        if target.scores:
            answers = check.positives(server, under_load.bodies)
            expected = under_load.scores[: len(answers)]
            check.greatest_difference({"alone": expected, f"{target.name} under load": answers})
        load.result()


def _bulk(server: Server, options: Options, files: Files, number: int) -> Iterator[Measurement]:
    for size, path in files.arrays.items():
        seconds = max(options.seconds, ceil(_BULK_REQUESTS * _time_of_one(server, path)))
        task = Task(number, options.workers, path, size, options.bulk_connections, seconds)
        yield _measure(server, task, options)
        _print(f"arrays of {size} without a server")
        yield without_server(options.model, task)


def _time_of_one(server: Server, bodies: Path) -> float:
    """Seconds of one request with the first body of a file."""
    with bodies.open("rb") as file:
        body = file.readline()
    began = perf_counter()
    client.post(server.port, body, KEY)
    return perf_counter() - began


def _measure(server: Server, task: Task, options: Options) -> Measurement:
    measurement = measure(server, task)
    load = f"arrays of {task.rows}" if task.rows > 1 else f"{task.connections} connections"
    _print(
        f"round {task.round + 1}/{options.rounds}  {server.name}, {load}: "
        f"{measurement.rps * task.rows:,.0f} rows/s, {measurement.errors} errors"
    )
    return measurement


def _print(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
