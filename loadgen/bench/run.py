"""The course of a run: check all, then measure each in every round, one at a time."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

from loadgen.bench import check, wrk
from loadgen.bench.measure import BULK_TARGET, Measurement, Task, measure, without_server
from loadgen.bench.options import Options
from loadgen.bench.targets import TARGETS, Target, running
from loadgen.common import client, rows, usage
from loadgen.common.errors import CannotStart
from loadgen.common.service import KEY, Server

_WARM_UP_SECONDS: Final = 1
_WARM_UP_CONNECTIONS: Final = 64
# Rows whose scores are compared meanwhile.
_UNDER_LOAD: Final = 16
# What is under way when wrk stops is not counted: so many long requests make that little.
_BULK_REQUESTS: Final = 20


class Results(NamedTuple):
    """All measurements, and by how much the scores differ at most on `checked` rows."""

    measurements: list[Measurement]
    difference: float
    checked: int


class Files(NamedTuple):
    """The folder of a run, and in it the bodies of single rows and of arrays by size."""

    folder: Path
    singles: Path
    arrays: dict[int, Path]


def run(options: Options) -> Results:
    """Measure what the options ask for. Raises CannotStart or WrongAnswers."""
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
    return Results(measurements, difference, len(sample))


def rotated(targets: Sequence[Target], number: int) -> list[Target]:
    """The targets in the order of a round, so that each of them is first in its turn."""
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
    """Bodies, and their scores, that are asked for while a target is warmed up."""

    bodies: list[bytes]
    scores: list[float]


def _compare(
    targets: Sequence[Target], options: Options, files: Files, readings: Sequence[rows.Row]
) -> dict[str, list[float]]:
    """The scores that the targets give the same rows, each asked alone."""
    bodies = rows.singles(readings)
    scores: dict[str, list[float]] = {}
    for target in targets:
        _tell(f"checking the answers of {target.name}")
        with running(target, options, files.folder, bodies[0]) as server:
            check.refuses_strangers(server, bodies[0])
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
    """All targets anew, all at once, but loaded one at a time.

    They take turns at every load, so that what is compared lies seconds apart.
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
                yield _told(server, task, options)
        for server in servers:
            if server.name == BULK_TARGET:
                yield from _bulk(server, options, files, number)


def _warm_up(target: Target, server: Server, files: Files, under_load: _UnderLoad) -> None:
    """Load a target for a moment; it must score rows then as it does alone."""
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
        yield _told(server, task, options)
        _tell(f"arrays of {size} without a server")
        yield without_server(options.model, task)


def _time_of_one(server: Server, bodies: Path) -> float:
    """Seconds that the first body of a file takes alone."""
    with bodies.open("rb") as file:
        body = file.readline()
    began = perf_counter()
    client.post(server.port, body, KEY)
    return perf_counter() - began


def _told(server: Server, task: Task, options: Options) -> Measurement:
    measurement = measure(server, task)
    load = f"arrays of {task.rows}" if task.rows > 1 else f"{task.connections} connections"
    _tell(
        f"round {task.round + 1}/{options.rounds}  {server.name}, {load}: "
        f"{measurement.rps * task.rows:,.0f} rows/s, {measurement.errors} errors"
    )
    return measurement


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
