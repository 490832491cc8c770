"""Replay of a whole log by as many processes as there are cores, each with a part at a time."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from service.config.settings import Settings
from service.decisions.choice import Condition
from service.decisions.log import DecisionLog
from service.decisions.replay import Replayed, Scorers, nothing, replay

# Entries of a part. Fewer are not worth a process, which takes a second to start.
PART: Final = 5_000

_log: DecisionLog | None = None
_scorers: Scorers | None = None


def replay_all(
    settings: Settings, log: DecisionLog, chosen: Condition, other: Path | None, processes: int = 0
) -> Replayed:
    """What `replay` comes to; `processes` are as many as cores unless given.

    Raises ModelRefused.
    """
    count = processes or len(os.sched_getaffinity(0))
    parts = list(_parts(log.store.size, chosen))
    if len(parts) < 2 or count < 2:
        return replay(Scorers(settings, other), log, chosen)
    found = nothing()
    # Fresh processes: a connection to SQLite does not survive a fork.
    context = multiprocessing.get_context("spawn")
    workers = min(count, len(parts))
    with ProcessPoolExecutor(workers, context, _start, (settings, log.folder, other)) as pool:
        for part in pool.map(_replayed, parts):
            found.add(part)
    return found


def _parts(size: int, chosen: Condition) -> Iterator[Condition]:
    for first in range(0, size, PART):
        text = f"idx >= ? AND idx < ? AND {chosen.text}"
        yield Condition(text, [first, first + PART, *chosen.values])


def _start(settings: Settings, folder: Path, other: Path | None) -> None:
    global _log, _scorers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent ends it
    _log, _scorers = DecisionLog(folder), Scorers(settings, other)


def _replayed(part: Condition) -> Replayed:
    assert _log is not None, "`_start` was called"  # noqa: S101
    assert _scorers is not None  # noqa: S101
    return replay(_scorers, _log, part)
