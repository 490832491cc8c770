"""Worker processes: blocks in, outcomes out in the same order, few of either held at a time."""

import gc
import multiprocessing
import resource
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from functools import lru_cache
from os import getpid
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from model import catalog
from model.bulk.outcome import Outcome
from model.tables.blocks import Block, Identity, Span, identity, read_span, spans
from model.tables.errors import TableRefused

# Blocks under way for each process: one being scored, one waiting so that none idles.
_AHEAD: Final = 2
_LISTS: Final = 200_000


class Work(NamedTuple):
    """Which model does the work, and what it needs besides blocks.

    `name` is the model's in the catalog: only workers load it; `artifact` is the path of the
    file to score with; `positive_class` names the positive class of one
    that does not tell, "" for one that does; `header` is the first line of the input; `file`
    is the path of the input and `state` its identity when it was opened, "" and None when it
    is a stream that only one process can read.
    """

    name: str
    artifact: str
    header: bytes
    file: str = ""
    state: Identity | None = None
    positive_class: str = ""


class Done(NamedTuple):
    """A block's outcome and the worker that made it, with its peak memory so far in bytes."""

    size: int
    outcome: Outcome
    process: int
    peak_memory: int


def scored(work: Work, blocks: Iterable[Block], processes: int) -> Iterator[Done]:
    """The outcomes of blocks, in their order.

    The workers read the blocks of a file themselves: half the parent's work would be to
    hand them over.

    Raises what reading or scoring a block raises, and BrokenProcessPool when a worker dies.
    """
    # Fresh processes: a fork would copy the parent's locks, which its threads may hold.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_start, initargs=(work.name,))
    waiting: deque[Future[Done]] = deque()
    try:
        for parcel in spans(work.header, blocks) if work.file else blocks:
            waiting.append(pool.submit(_score, work, parcel))
            if len(waiting) >= processes * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


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
    # A block makes lists by the ten thousand, none in a cycle: looking for cycles among them
    # would take longer than decoding them.
    gc.set_threshold(_LISTS)
    catalog.entry(name).load()


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


def _score(work: Work, parcel: Block | Span) -> Done:
    block = _read(work, parcel) if isinstance(parcel, Span) else parcel
    model = catalog.entry(work.name).load()
    outcome = model.score_block(work.artifact, work.header, block, work.positive_class)
    return Done(len(block.text), outcome, getpid(), peak_memory())
