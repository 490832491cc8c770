"""When each request is due: fixed in advance, so that a slow service can't slow its own load."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import Protocol

from msgspec import Struct


class Stage(Protocol):
    """A stretch of time in which the rate goes from `began_at` to `rate` requests a second."""

    @property
    def seconds(self) -> int:
        """Its length."""

    @property
    def began_at(self) -> float:
        """The rate at its start."""

    @property
    def rate(self) -> float:
        """The rate at its end."""


class Level(Struct, frozen=True):
    """A stage of one rate."""

    seconds: int
    rate: float

    @property
    def began_at(self) -> float:
        """The rate at its start."""
        return self.rate


def due_times(stages: Sequence[Stage]) -> Iterator[float]:
    """Due times in seconds after the start, evenly spaced at each moment's rate."""
    began, so_far = 0.0, 0.0
    for stage in stages:
        upto = so_far + arrivals(stage)
        for number in range(math.ceil(so_far), math.ceil(upto)):
            yield began + _moment(stage, number - so_far)
        began, so_far = began + stage.seconds, upto


def share_of(stages: Sequence[Stage], index: int, count: int) -> Iterator[tuple[int, float]]:
    """Number and due time of the requests of generator `index` of `count`, dealt in turn."""
    return islice(enumerate(due_times(stages)), index, None, count)


def arrivals(stage: Stage) -> float:
    """The number of requests that are due in a stage, with its fraction."""
    return (stage.began_at + stage.rate) / 2 * stage.seconds


def planned(stages: Sequence[Stage]) -> list[int]:
    """The number of requests that are due in each stage."""
    ends = [math.ceil(total) for total in accumulate(arrivals(stage) for stage in stages)]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def rate_at(stages: Sequence[Stage], second: float) -> float:
    """The planned rate at a moment; 0 before the start and after the end."""
    began = 0.0
    for stage in stages:
        passed = second - began
        if 0 <= passed < stage.seconds:
            return stage.began_at + (stage.rate - stage.began_at) * passed / stage.seconds
        began += stage.seconds
    return 0.0


def bounds(stages: Sequence[Stage]) -> list[tuple[int, int]]:
    """Start and end of each stage, in seconds after the start."""
    ends = list(accumulate(stage.seconds for stage in stages))
    return list(zip([0, *ends], ends, strict=False))


def _moment(stage: Stage, arrived: float) -> float:
    """The time of the given arrival: the root of a·t + (b - a)/(2·T)·t² = arrived, for t >= 0.

    Written with the sum as divisor, so that a level rate is not a special case.
    """
    if arrived <= 0:
        return 0.0
    slope = (stage.rate - stage.began_at) / stage.seconds
    root = math.sqrt(max(0.0, stage.began_at**2 + 2 * slope * arrived))
    return 2 * arrived / (stage.began_at + root)
