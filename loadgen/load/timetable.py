"""When each request is due: fixed before the first is sent, whatever the service does."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice

from loadgen.load.shapes import Stage


def due_times(stages: Sequence[Stage]) -> Iterator[float]:
    """Seconds after the start at which requests are due, evenly spaced at each moment's rate."""
    began, so_far = 0.0, 0.0
    for stage in stages:
        upto = so_far + arrivals(stage)
        for number in range(math.ceil(so_far), math.ceil(upto)):
            yield began + _moment(stage, number - so_far)
        began, so_far = began + stage.seconds, upto


def share_of(stages: Sequence[Stage], index: int, count: int) -> Iterator[tuple[int, float]]:
    """Number and due time of the requests of one of `count` generators: each takes its turn."""
    return islice(enumerate(due_times(stages)), index, None, count)


def arrivals(stage: Stage) -> float:
    """How many requests a stage sends."""
    return (stage.began_at + stage.rate) / 2 * stage.seconds


def planned(stages: Sequence[Stage]) -> list[int]:
    """How many requests are due within each stage."""
    ends = [math.ceil(total) for total in accumulate(arrivals(stage) for stage in stages)]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def rate_at(stages: Sequence[Stage], second: float) -> float:
    """The rate that is meant at a moment; 0 before and after."""
    began = 0.0
    for stage in stages:
        passed = second - began
        if 0 <= passed < stage.seconds:
            return stage.began_at + (stage.rate - stage.began_at) * passed / stage.seconds
        began += stage.seconds
    return 0.0


def bounds(stages: Sequence[Stage]) -> list[tuple[int, int]]:
    """The second in which each stage begins, and the one in which it has ended."""
    ends = list(accumulate(stage.seconds for stage in stages))
    return list(zip([0, *ends], ends, strict=False))


def _moment(stage: Stage, arrived: float) -> float:
    """When so many have arrived: the root of a·t + (b - a)/(2·T)·t² = arrived, for t >= 0.

    In the form that divides by a sum: it knows no special case for a level rate.
    """
    if arrived <= 0:
        return 0.0
    slope = (stage.rate - stage.began_at) / stage.seconds
    root = math.sqrt(max(0.0, stage.began_at**2 + 2 * slope * arrived))
    return 2 * arrived / (stage.began_at + root)
