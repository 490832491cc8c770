"""Many schedules, on several processors."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Final

from msgspec import Struct

from tests.simulation import schedule, server

_CHUNK: Final = 500


class Found(Struct):
    """The seed of a schedule that breaks a rule, and the rule."""

    seed: int
    broken: str

    def __str__(self) -> str:
        return f"Seed {self.seed}: {self.broken}\n{replay_command(f'--seed {self.seed}')}"


def replay_command(which: str) -> str:
    """How to see a schedule again."""
    return f"See it again: python -m tests.simulation {which}"


def play(first: int, size: int) -> Found | None:
    """Play so many schedules, here, until one breaks a rule."""
    for seed in range(first, first + size):
        if broken := schedule.run(seed)[0]:
            return Found(seed, broken)
    return None


def play_on(processes: int, first: int, size: int, say: Callable[[str], object]) -> Found | None:
    """The same on several processors: the first. `say` is called with the progress."""
    began, done = time.monotonic(), 0
    # What a schedule leaves behind is not all freed: each process plays one chunk.
    with ProcessPoolExecutor(processes, get_context("spawn"), max_tasks_per_child=1) as pool:
        playing = {pool.submit(_play_chunk, *chunk): chunk for chunk in _chunks(first, size)}
        for played in as_completed(playing):
            if (broken := played.result()) is not None:
                for other in playing:
                    other.cancel()
                return broken
            done += playing[played][1]
            say(f"{done:,} schedules, {time.monotonic() - began:,.0f} s")
    return None


def _chunks(first: int, size: int) -> Iterator[tuple[int, int]]:
    for at in range(first, first + size, _CHUNK):
        yield at, min(_CHUNK, first + size - at)


def _play_chunk(first: int, size: int) -> Found | None:
    with server.simulated():
        return play(first, size)
