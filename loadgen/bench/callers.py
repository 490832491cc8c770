"""Callers that are threads of one process: as quick as they get replies, or at a fixed rate."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Lock
from time import perf_counter, sleep
from typing import Any, Final, NamedTuple, TypeAlias

from loadgen.common.errors import WrongAnswers

# Sends an item and returns what is compared of its reply; and what makes that for a caller.
Call: TypeAlias = Callable[[Any], Any]
Connect: TypeAlias = Callable[[], Call]
_APART: Final = 7


class Work(NamedTuple):
    """Items with the answers that are right, and how many callers send them."""

    items: Sequence[Any]
    expected: Sequence[Any]
    callers: int

    def send(self, call: Call, number: int) -> None:
        """Send an item and look at the reply. Raises WrongAnswers."""
        place = number % len(self.items)
        reply = call(self.items[place])
        if reply != self.expected[place]:
            raise WrongAnswers(f"request {place}: {reply!r}")


def lasting(seconds: float) -> Callable[[], bool]:
    """Whether these seconds, from now on, are not over."""
    latest = perf_counter() + seconds
    return lambda: perf_counter() < latest


def at_full_speed(connect: Connect, work: Work, goes_on: Callable[[], bool]) -> list[float]:
    """The seconds of each call, shortest first. Raises WrongAnswers."""

    def run(caller: int) -> list[float]:
        call, number = connect(), _APART * caller
        times: list[float] = []
        while goes_on():
            number += 1
            sent = perf_counter()
            work.send(call, number)
            times.append(perf_counter() - sent)
        return times

    return _all(run, work.callers)


def at_a_rate(connect: Connect, work: Work, rate: float, seconds: float) -> list[float]:
    """The seconds from when each call was due until its reply, shortest first.

    Raises WrongAnswers.
    """
    numbers, lock = count(), Lock()
    planned = max(1, int(seconds * rate))

    def run(_caller: int) -> list[float]:
        call = connect()
        times: list[float] = []
        while True:
            with lock:
                number = next(numbers)
            if number >= planned:
                return times
            due = began + number / rate
            sleep(max(0.0, due - perf_counter()))
            work.send(call, number)
            times.append(perf_counter() - due)

    began = perf_counter()
    return _all(run, work.callers)


def _all(run: Callable[[int], list[float]], callers: int) -> list[float]:
    with ThreadPoolExecutor(callers) as threads:
        return sorted(time for each in threads.map(run, range(callers)) for time in each)


def percentile(times: Sequence[float], share: float) -> float:
    """A percentile of sorted seconds, in milliseconds."""
    return times[int(share * (len(times) - 1))] * 1e3
