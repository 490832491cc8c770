"""Workers: parcels of rows in, outcomes out in their order, few of them held at a time.

They are processes, since much of the work is Python or holds its lock. They are forked when the
model's packages are loaded, and share memory with this process: the text of a parcel and that of
its outcome lie in it, as pipes would copy each several times.
"""

import gc
import multiprocessing
import resource
import signal
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from ctypes import CDLL
from mmap import mmap
from os import getpid
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from model import catalog
from model.bulk.outcome import Outcome
from model.bulk.rows import detail_rows, loaded
from model.tables.blocks import Block
from model.tables.cells import cells_of
from model.tables.output import Renderer
from model.tables.table import Layout, Parcel

# Twice as many are not clearly quicker and take 110 MiB more.
CHUNK_ROWS: Final = 5_000
# Parcels under way for each worker: one being scored, one waiting so that none idles.
_AHEAD: Final = 2
_SHARED: Final = 1 << 26
_LISTS: Final = 200_000
# Of glibc's mallopt: from so many bytes on memory is no part of the heap, and so many are kept.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST, _KEPT = 1 << 25, 1 << 28
_PR_SET_PDEATHSIG: Final = 1
# The output's last column.
ERROR: Final = "error"


class Work(NamedTuple):
    """Which model does the work, and what it needs besides parcels.

    `name` is the model's in the catalog; `artifact` is the path of the file to score with;
    `positive_class` names the positive class of one that does not tell, "" for one that does;
    `costs` are those of the decisions in details, None without details, and `by_costs` says that
    they overrule the thresholds of a manifest. `layout` and `renderer` are of the input and the
    output.
    """

    name: str
    artifact: str
    layout: Layout
    renderer: Renderer
    positive_class: str = ""
    costs: Mapping[str, float] | None = None
    by_costs: bool = False


class Types(NamedTuple):
    """The names of the fields of a model's types: of a request, a score, and one with details."""

    request: tuple[str, ...]
    score: tuple[str, ...]
    detail: tuple[str, ...]


class Done(NamedTuple):
    """A parcel's outcome and the process that made it, with its peak memory so far in bytes.

    Of that, what it shared with its parent at its start is not counted again.
    """

    outcome: Outcome
    process: int
    peak_memory: int


class _Text(NamedTuple):
    """A text in the shared memory of a place. `line` and `is_plain` are those of a block."""

    size: int
    line: int = 0
    is_plain: bool = False


@contextmanager
def workers(name: str, count: int, *, shared: int = _SHARED) -> Iterator["Workers"]:
    """So many workers with a model of the catalog; `shared` bytes of memory for each parcel.

    What is not used of them takes none, and what does not fit goes through a pipe.
    """
    _keep_freed_memory()
    model = catalog.entry(name).load()
    types = Types(*(kind.__struct_fields__ for kind in (model.request, model.score, model.detail)))
    memory = [mmap(-1, shared) for _ in range(count * _AHEAD)]
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(count, context, initializer=_start, initargs=(memory,))
    try:
        pool.submit(int)  # all of them start now, while no thread runs that may hold a lock
        yield Workers(pool, types, memory)
    finally:
        pool.shutdown(cancel_futures=True)


class Workers:
    """Workers that run. `workers` makes them; `types` are the fields of the model's types."""

    def __init__(self, pool: ProcessPoolExecutor, types: Types, memory: list[mmap]) -> None:
        self.types = types
        self._pool = pool
        self._memory = memory

    def scored(self, work: Work, parcels: Iterable[Parcel]) -> Iterator[Done]:
        """The outcomes of parcels, in their order. A text lasts until the next one is taken.

        Raises what reading or scoring a parcel raises, and BrokenProcessPool when a process dies.
        """
        waiting: deque[tuple[Future[Done], mmap]] = deque()
        for number, parcel in enumerate(parcels):
            place = number % len(self._memory)
            given = _shared(parcel, self._memory[place])
            future = self._pool.submit(_score, work, place, given)
            waiting.append((future, self._memory[place]))
            if len(waiting) == len(self._memory):
                yield _taken(*waiting.popleft())
        while waiting:
            yield _taken(*waiting.popleft())


def _shared(parcel: Parcel, memory: mmap) -> Parcel | _Text:
    """The place of a text that is put into the memory; other parcels as they are."""
    if not isinstance(parcel, Block) or len(parcel.text) > len(memory):
        return parcel
    memory[: len(parcel.text)] = parcel.text
    return _Text(len(parcel.text), parcel.line, parcel.is_plain)


def _taken(future: Future[Done], memory: mmap) -> Done:
    done = future.result()
    content = done.outcome.content
    if not isinstance(content, _Text):
        return done
    text = memoryview(memory)[: content.size]
    return done._replace(outcome=done.outcome._replace(content=text))


def peak_memory() -> int:
    """The most memory that this process ever held, in bytes."""
    # Not ru_maxrss where it can be helped: a process is born with its parent's.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


# Of a worker: the memory that it shares, and how much it had at its start.
_memory: list[mmap] = []
_inherited = 0


def _start(memory: list[mmap]) -> None:
    global _inherited  # noqa: PLW0603 - what a worker's process begins with
    # Ctrl-C reaches every process of the terminal; the parent ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(AttributeError):  # where there is no Linux
        CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no worker outlives its parent
    # Look for cycles of garbage rarely, and not among what the parent made: a parcel makes lists
    # by the ten thousand, none in a cycle.
    gc.freeze()
    gc.set_threshold(_LISTS)
    _memory[:] = memory
    _inherited = peak_memory()


def _keep_freed_memory() -> None:
    """Keep what a parcel frees for the next one: the kernel clears each page that it gives.

    That takes a twentieth of the time. Where there is no glibc, all stays as it is.
    """
    with suppress(AttributeError, OSError):
        set_option = CDLL(None).mallopt
        pa.set_memory_pool(pa.system_memory_pool())
        set_option(_MMAP_THRESHOLD, _LARGEST)
        set_option(_TRIM_THRESHOLD, _KEPT)


def _score(work: Work, place: int, given: Parcel | _Text) -> Done:
    memory = _memory[place]
    if isinstance(given, _Text):
        given = Block(memory[: given.size], given.line, given.is_plain)
    outcome = outcome_of(work, given)
    content: Any = outcome.content
    if isinstance(content, pa.Buffer | bytes) and len(content) <= len(memory):
        memory[: len(content)] = content
        outcome = outcome._replace(content=_Text(len(content)))
    return Done(outcome, getpid(), peak_memory() - _inherited)


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
