"""Two models on the same unlabelled readings: what would change if one replaced the other.

On labelled rows `bootstrap` shows which model is better. Without labels it is unknown which is
right, so a candidate that differs much is refused until a person has decided.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf, nan
from time import thread_time
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from msgspec import Struct

from model.errors import Breach
from model.regno.request import Reading
from model.regno.score import Score

Array: TypeAlias = np.ndarray[Any, Any]

# Classes that neither model has learnt: their names come from clients and may be anything.
OTHER: Final = "other"
# Rows of one call, about as many as the service scores at once under load.
BLOCK: Final = 50
_LEAST_TIMINGS: Final = 10


class Scorer(Protocol):
    """What is compared: the part of `RegnoScorer` that this module uses."""

    @property
    def version(self) -> str:
        """The model's name."""

    @property
    def groups(self) -> Sequence[str]:
        """The camera classes that it knows."""

    def score(self, readings: Sequence[Reading]) -> Sequence[Score]:
        """One score for each reading."""


class Limits(Struct, frozen=True):
    """How much may change; a limit is breached by what is above it, not at it.

    `flips` is the share of all rows that may be decided differently, `flips_in_class` that of
    the rows of a camera class; `mean_difference` is of probabilities; `slowdown` the
    candidate's time for a row over the live model's. Shares of few rows say little: fewer than
    `least_rows` rows are remarked, and a class of fewer than `least_class` has no limit.
    """

    flips: float = 0.02
    flips_in_class: float = 0.1
    mean_difference: float = 0.05
    slowdown: float = 3.0
    least_rows: int = 200
    least_class: int = 30


class Flips(Struct, frozen=True):
    """Rows decided differently at one half: for the network now, or for the camera now."""

    rows: int
    to_network: int
    to_camera: int

    @property
    def count(self) -> int:
        """Both ways."""
        return self.to_network + self.to_camera

    @property
    def share(self) -> float:
        """Of the rows, 0 if there are none."""
        return self.count / self.rows if self.rows else 0.0


class Differences(Struct, frozen=True):
    """Of the network's probability: the absolute difference, and `shift`, the mean with its sign.

    The shift is above 0 when the candidate favours the network more. All are nan without rows.
    """

    mean: float
    p99: float
    max: float
    shift: float


class Parity(Struct, frozen=True):
    """The result of a comparison; a struct that msgspec writes as JSON.

    `rows` were scored by both; `unusable` of them got a score that is not a probability and are
    left out of everything else. Seconds are those of the processor for one row, features and
    all, in the best of several calls; `slowdown` is the candidate's over the live model's.
    """

    live: str
    candidate: str
    rows: int
    unusable: int
    differences: Differences
    flips: Flips
    by_camera_class: dict[str, Flips]
    live_seconds: float
    candidate_seconds: float
    slowdown: float

    def breaches(self, limits: Limits) -> list[Breach]:
        """Why the candidate should not serve, by the fields of `Limits`; empty if it may serve."""
        return [*self._unusable(), *self._changed(limits), *self._slowed(limits)]

    def remarks(self, limits: Limits) -> list[str]:
        """What makes the result doubtful, in plain words."""
        if self.rows >= limits.least_rows:
            return []
        return [f"only {self.rows} rows were compared; {limits.least_rows} would say more"]

    def _unusable(self) -> Iterator[Breach]:
        if self.unusable:
            reason = f"{self.unusable} of {self.rows} rows have a score that is not a probability"
            yield Breach(reason)

    def _changed(self, limits: Limits) -> Iterator[Breach]:
        if self.flips.share > limits.flips:
            yield Breach(_flipped("rows", self.flips, limits.flips), "flips")
        for name, in_class in self.by_camera_class.items():
            if in_class.rows >= limits.least_class and in_class.share > limits.flips_in_class:
                of_class = f"rows of camera class {name}"
                reason = _flipped(of_class, in_class, limits.flips_in_class)
                yield Breach(reason, "flips_in_class")
        if self.differences.mean > limits.mean_difference:
            reason = (
                f"probabilities differ by {self.differences.mean:.4f} on average "
                f"(at most {limits.mean_difference:g} may)"
            )
            yield Breach(reason, "mean_difference")

    def _slowed(self, limits: Limits) -> Iterator[Breach]:
        if self.slowdown > limits.slowdown:
            reason = (
                f"a row takes {self.slowdown:.1f} times as long "
                f"({self.candidate_seconds * 1e6:.0f} µs after {self.live_seconds * 1e6:.0f}; "
                f"at most {limits.slowdown:g} times)"
            )
            yield Breach(reason, "slowdown")


def _flipped(what: str, flipped: Flips, limit: float) -> str:
    return (
        f"{flipped.count} of {flipped.rows} {what} are decided differently: {flipped.share:.1%} "
        f"(at most {limit:.1%}); {flipped.to_network} for the network now, "
        f"{flipped.to_camera} for the camera"
    )


def compare(
    live: Scorer,
    candidate: Scorer,
    readings: Sequence[Reading],
    clock: Callable[[], float] = thread_time,
) -> Parity:
    """Score readings, of which there must be at least one, by both models.

    They are scored in blocks, so that no other prediction of the process waits for long.
    `clock` returns seconds; the default one counts the work of this thread only.
    """
    before, after = _Side(live, clock), _Side(candidate, clock)
    blocks = [readings[at : at + BLOCK] for at in range(0, len(readings), BLOCK)]
    for block in blocks:
        for side in (before, after):
            side.score(block, times=max(1, _LEAST_TIMINGS // len(blocks)))
    old, new = np.array(before.positives), np.array(after.positives)
    usable = _probable(old) & _probable(new)
    classes = _classes(readings, {*live.groups, *candidate.groups})
    return Parity(
        live=live.version,
        candidate=candidate.version,
        rows=len(readings),
        unusable=int((~usable).sum()),
        differences=_differences(new[usable] - old[usable]),
        flips=_flips(old[usable], new[usable]),
        by_camera_class={
            name: _flips(old[at], new[at])
            for name in sorted(set(classes))
            for at in [usable & (classes == name)]
        },
        live_seconds=before.seconds,
        candidate_seconds=after.seconds,
        slowdown=after.seconds / before.seconds,
    )


class _Side:
    """One model's scores so far, and its least seconds for a row."""

    def __init__(self, scorer: Scorer, clock: Callable[[], float]) -> None:
        self.positives: list[float] = []
        self.seconds = inf
        self._scorer = scorer
        self._clock = clock

    def score(self, block: Sequence[Reading], times: int) -> None:
        """Score a block a number of times, which makes the timing steadier."""
        scores: Sequence[Score] = ()
        for _ in range(times):
            began = self._clock()
            scores = self._scorer.score(block)
            self.seconds = min(self.seconds, (self._clock() - began) / len(block))
        self.positives += [score.positive for score in scores]


def flips(new: Array, other: Array) -> Array:
    """Where two models decide differently at one half, shape (rows,)."""
    flipped: Array = (new > 0.5) != (other > 0.5)
    return flipped


def _probable(values: Array) -> Array:
    within: Array = (values >= 0) & (values <= 1)  # which nan is not
    return within


def _classes(readings: Sequence[Reading], known: set[str]) -> Array:
    names = (reading.camera_class for reading in readings)
    return np.array([name if name in known else OTHER for name in names], dtype=object)


def _differences(gaps: Array) -> Differences:
    if not gaps.size:
        return Differences(nan, nan, nan, nan)
    sizes = np.abs(gaps)
    p99 = float(np.percentile(sizes, 99))
    return Differences(float(sizes.mean()), p99, float(sizes.max()), float(gaps.mean()))


def _flips(old: Array, new: Array) -> Flips:
    flipped = flips(new, old)
    to_network = int((flipped & (new > 0.5)).sum())
    return Flips(old.size, to_network, int(flipped.sum()) - to_network)
