"""Worker processes: parcels of rows in, outcomes out in their order, few of them held at a time."""

import gc
import multiprocessing
import resource
import signal
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from os import getpid
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from model import catalog
from model.bulk.outcome import Outcome
from model.bulk.rows import detail_rows, loaded
from model.tables.blocks import Block, Identity, Span, identity, read_span, spans
from model.tables.cells import cells_of
from model.tables.errors import TableRefused
from model.tables.output import Renderer
from model.tables.table import Layout, Parcel

# Parcels under way for each process: one being scored, one waiting so that none idles.
_AHEAD: Final = 2
_LISTS: Final = 200_000
# The output's last column.
ERROR: Final = "error"


class Work(NamedTuple):
    """Which model does the work, and what it needs besides parcels.

    `name` is the model's in the catalog: only workers load it; `artifact` is the path of the file
    to score with; `positive_class` names the positive class of one that does not tell, "" for one
    that does; `costs` are those of the decisions in details, None without details, and `by_costs`
    says that they overrule the thresholds of a manifest. `layout` and
    `renderer` are of the input and the output. `file` is the path of the input and `state` its
    identity when it was opened, "" and None where only one process can read it.
    """

    name: str
    artifact: str
    layout: Layout
    renderer: Renderer
    file: str = ""
    state: Identity | None = None
    positive_class: str = ""
    costs: Mapping[str, float] | None = None
    by_costs: bool = False


class Types(NamedTuple):
    """The names of the fields of a model's types: of a request, a score, and one with details."""

    request: tuple[str, ...]
    score: tuple[str, ...]
    detail: tuple[str, ...]


class Done(NamedTuple):
    """A parcel's outcome and the worker that made it, with its peak memory so far in bytes."""

    outcome: Outcome
    process: int
    peak_memory: int


@contextmanager
def workers(name: str, processes: int) -> Iterator["Workers"]:
    """Worker processes, which load a model of the catalog as they start."""
    # Fresh processes: a fork would copy the parent's locks, which its threads may hold.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_start, initargs=(name,))
    try:
        # All of them start now, and load the model while this one opens the file.
        types = [pool.submit(_types_of, name) for _ in range(processes)]
        yield Workers(pool, types[0], processes)
    finally:
        pool.shutdown(cancel_futures=True)


class Workers:
    """Worker processes that run. `workers` makes them."""

    def __init__(self, pool: ProcessPoolExecutor, types: "Future[Types]", processes: int) -> None:
        self._pool = pool
        self._types = types
        self._processes = processes

    @property
    def types(self) -> Types:
        """The fields of the model's types. Raises BrokenProcessPool when a worker dies."""
        return self._types.result()

    def scored(self, work: Work, parcels: Iterable[Parcel]) -> Iterator[Done]:
        """The outcomes of parcels, in their order.

        The workers read the blocks of a plain file themselves: half the parent's work would be to
        hand them over.

        Raises what reading or scoring a parcel raises, and BrokenProcessPool when a worker dies.
        """
        waiting: deque[Future[Done]] = deque()
        for parcel in _portable(work, parcels):
            waiting.append(self._pool.submit(_score, work, parcel))
            if len(waiting) >= self._processes * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def peak_memory() -> int:
    """The most memory that this process ever held, in bytes."""
    # Not ru_maxrss where it can be helped: a process is born with its parent's.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _start(name: str) -> None:
    # Ctrl-C reaches every process of the terminal; the parent ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A parcel makes lists by the ten thousand, none in a cycle: looking for cycles among them
    # would take longer than decoding them.
    gc.set_threshold(_LISTS)
    catalog.entry(name).load()


def _types_of(name: str) -> Types:
    model = catalog.entry(name).load()
    return Types(*(kind.__struct_fields__ for kind in (model.request, model.score, model.detail)))


@lru_cache(1)
def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise TableRefused(f"a worker can't read it: {error.strerror}") from error


def _read(work: Work, span: Span) -> Block:
    file = _opened(work.file)
    block = read_span(file, span)
    # After reading: what was read before a change is what the parent cut.
    if identity(file) != work.state:
        raise TableRefused("it changed while it was read")
    return block


def _portable(work: Work, parcels: Iterable[Any]) -> Iterable[Parcel | Span]:
    return spans(work.layout.header, parcels) if work.file else parcels


def _score(work: Work, parcel: Parcel | Span) -> Done:
    rows = _read(work, parcel) if isinstance(parcel, Span) else parcel
    return Done(outcome_of(work, rows), getpid(), peak_memory())


def outcome_of(work: Work, rows: Parcel) -> Outcome:
    """The outcome of a parcel. Raises TableRefused and ModelRefused."""
    cells = cells_of(rows, work.layout)
    if not cells.lines:
        empty = {name: np.empty(0) for name in work.renderer.added[:-1]}
        content = work.renderer.render(rows, cells, {**empty, ERROR: []})
        return Outcome(content, 0, {}, {}, {}, cells.empty)
    model, artifact = catalog.entry(work.name).load(), work.artifact
    if work.costs is None:
        made = model.score_cells(artifact, cells, work.positive_class)
    else:
        scorer = loaded(model, artifact, work.positive_class)
        reviewer = model.reviewer({}, work.costs, by_costs=work.by_costs)
        made = detail_rows(model, scorer, reviewer, cells)
    errors = [""] * len(cells.lines)
    first: dict[str, int] = {}
    for row in sorted(made.faults):
        errors[row] = made.faults[row]
        first.setdefault(errors[row], cells.lines[row])
    content = work.renderer.render(rows, cells, {**made.columns, ERROR: errors})
    faults = Counter(made.faults.values())
    return Outcome(content, len(errors), faults, first, made.warnings, cells.empty)
