"""Workers: parcels of rows in, outcomes out in their order, few of them held at a time.

They are threads for a model that scores tables: numpy, pyarrow and CatBoost let other threads run
meanwhile, and nothing is handed from process to process. What scores row by row is Python, of which
a process runs one thread at a time: then they are processes.
"""

import gc
import multiprocessing
import resource
import signal
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from os import getpid
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from model import catalog
from model.bulk.outcome import Outcome
from model.bulk.rows import detail_rows, loaded
from model.tables.cells import cells_of
from model.tables.output import Renderer
from model.tables.table import Layout, Parcel

# More rows at a time take more memory (667 MiB in all at 20,000) and were not clearly quicker.
CHUNK_ROWS: Final = 5_000
# Parcels under way for each worker: one being scored, one waiting so that none idles.
_AHEAD: Final = 2
_LISTS: Final = 200_000
# The output's last column.
ERROR: Final = "error"


class Work(NamedTuple):
    """Which model does the work, and what it needs besides parcels.

    `name` is the model's in the catalog; `artifact` is the path of the file to score with;
    `positive_class` names the positive class of one that does not tell, "" for one that does;
    `costs` are those of the decisions in details, None without details, and `by_costs` says that
    they overrule the thresholds of a manifest. `layout` and `renderer` are of the input and the
    output. `threads` is how many threads a prediction takes; parcels take turns at it.
    """

    name: str
    artifact: str
    layout: Layout
    renderer: Renderer
    positive_class: str = ""
    costs: Mapping[str, float] | None = None
    by_costs: bool = False
    threads: int = 1


class Types(NamedTuple):
    """The names of the fields of a model's types: of a request, a score, and one with details."""

    request: tuple[str, ...]
    score: tuple[str, ...]
    detail: tuple[str, ...]


class Done(NamedTuple):
    """A parcel's outcome and the process that made it, with its peak memory so far in bytes."""

    outcome: Outcome
    process: int
    peak_memory: int


@contextmanager
def workers(name: str, count: int, *, detail: bool) -> Iterator["Workers"]:
    """So many workers, which load a model of the catalog as they start.

    `detail`: they are to score with details, which is done row by row.
    """
    by_rows = detail or not catalog.entry(name).scores_tables
    pool = _processes(name, count) if by_rows else ThreadPoolExecutor(count)
    with _rare_collections():
        try:
            # They start now, and load the model while this process opens the file.
            types = [pool.submit(_types_of, name) for _ in range(count)]
            yield Workers(pool, types[0], count)
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles of garbage rarely: a parcel makes lists by the ten thousand, none in one."""
    before = gc.get_threshold()
    gc.set_threshold(_LISTS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _processes(name: str, count: int) -> Executor:
    # Fresh processes: a fork would copy the parent's locks, which its threads may hold.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, context, initializer=_start, initargs=(name,))


class Workers:
    """Workers that run. `workers` makes them."""

    def __init__(self, pool: Executor, types: "Future[Types]", count: int) -> None:
        self._pool = pool
        self._types = types
        self._count = count

    @property
    def types(self) -> Types:
        """The fields of the model's types. Raises BrokenProcessPool when a process dies."""
        return self._types.result()

    def scored(self, work: Work, parcels: Iterable[Parcel]) -> Iterator[Done]:
        """The outcomes of parcels, in their order.

        Raises what reading or scoring a parcel raises, and BrokenProcessPool when a process dies.
        """
        waiting: deque[Future[Done]] = deque()
        for parcel in parcels:
            waiting.append(self._pool.submit(_score, work, parcel))
            if len(waiting) >= self._count * _AHEAD:
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
    gc.set_threshold(_LISTS)  # as in `_rare_collections`
    catalog.entry(name).load()


def _types_of(name: str) -> Types:
    model = catalog.entry(name).load()
    return Types(*(kind.__struct_fields__ for kind in (model.request, model.score, model.detail)))


def _score(work: Work, parcel: Parcel) -> Done:
    return Done(outcome_of(work, parcel), getpid(), peak_memory())


def outcome_of(work: Work, rows: Parcel) -> Outcome:
    """The outcome of a parcel. Raises TableRefused and ModelRefused."""
    cells = cells_of(rows, work.layout)
    if not cells.lines:
        empty = {name: np.empty(0) for name in work.renderer.added[:-1]}
        content = work.renderer.render(rows, cells, {**empty, ERROR: []})
        return Outcome(content, 0, {}, {}, {}, cells.empty)
    model, artifact = catalog.entry(work.name).load(), work.artifact
    if work.costs is None:
        made = model.score_cells(artifact, cells, work.positive_class, threads=work.threads)
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
