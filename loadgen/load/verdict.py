"""The verdict on a stage and on a run: from figures and limits to an outcome."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct, field

from loadgen.load.histogram import Histogram
from loadgen.load.limits import Limits
from loadgen.load.replies import wrong_scores


class Outcome(Enum):
    """The outcomes of a run."""

    HELD = "held"
    BROKEN = "broken"
    NOTHING_RAN = "nothing ran"
    GENERATOR_LAGGED = "no verdict: the generator lagged"


# 2 is for a run that can't start, as in all programs of this repository.
EXIT_CODES: Final = {
    Outcome.HELD: 0,
    Outcome.BROKEN: 1,
    Outcome.NOTHING_RAN: 3,
    Outcome.GENERATOR_LAGGED: 4,
}
_MISSES_IN_A_ROW: Final = 2
# The outcome of a run is the first of these that one of its stages has.
_GRAVEST_FIRST: Final = (
    *(Outcome.NOTHING_RAN, Outcome.GENERATOR_LAGGED, Outcome.BROKEN, Outcome.HELD),
)


class GeneratorLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits beyond which the generator is measured: its lateness, and the CPU of a process."""

    max_lateness_p99_ms: Annotated[float, Meta(gt=0)]
    max_cpu: Annotated[float, Meta(gt=0, le=1)]


class Figures(Struct, frozen=True):
    """The measured values of a stage.

    `target` is in requests a second, `planned` the number in the schedule, `right` how many
    expected replies arrived in the stage, `golden` how many rows had the known score, `cpu` the
    share of a core of the busiest generator.

    Of jobs, `accepted` and `ended` are their numbers, `finished` has the times until their ends,
    and `rows` were scored in the stage.
    """

    name: str
    target: float
    seconds: float
    planned: int
    sent: int
    right: int
    golden: int
    failures: dict[str, int]
    latency: Histogram
    lateness: Histogram
    cpu: float
    accepted: int = 0
    ended: int = 0
    rows: int = 0
    finished: Histogram = field(default_factory=Histogram)

    @property
    def lost(self) -> int:
        """The number of jobs that were accepted and have no end."""
        return self.accepted - self.ended


class Check(NamedTuple):
    """A line of the table: a value and its limit.

    None is a value that could not be measured. It is a miss, unless it `may_lack`.
    """

    name: str
    value: float | None
    sign: Literal["<=", ">="]
    limit: float
    of_generator: bool = False
    may_lack: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the value is within the limit; None if it was not measured and may lack."""
        if self.value is None:
            return None if self.may_lack else False
        return self.value <= self.limit if self.sign == "<=" else self.value >= self.limit


class StageResult(NamedTuple):
    """A stage with its checks and its outcome."""

    figures: Figures
    checks: tuple[Check, ...]
    outcome: Outcome


def evaluate(figures: Figures, limits: Limits, generator: GeneratorLimits) -> StageResult:
    """Check a stage against the limits. There is no verdict if the generator lagged."""
    checks = (*_of_service(figures, limits), *_of_generator(figures, generator))
    return StageResult(figures, checks, _outcome(figures, checks))


def overall(stage_results: Sequence[StageResult]) -> Outcome:
    """The outcome of a run: the gravest one of its stages."""
    outcomes = {result.outcome for result in stage_results} or {Outcome.NOTHING_RAN}
    return next(outcome for outcome in _GRAVEST_FIRST if outcome in outcomes)


def greatest_held(stage_results: Sequence[StageResult]) -> float | None:
    """The knee: the greatest rate that held, if any did."""
    held = (one.figures.target for one in stage_results if one.outcome is Outcome.HELD)
    return max(held, default=None)


def is_over(stage_results: Sequence[StageResult]) -> bool:
    """Whether a search has passed the knee: two steps in a row did not hold.

    One miss may come from other programs on the machine; the next step is harder.
    """
    last = stage_results[-_MISSES_IN_A_ROW:]
    missed = [one for one in last if one.outcome is not Outcome.HELD]
    return len(missed) == _MISSES_IN_A_ROW


def _of_service(figures: Figures, limits: Limits) -> list[Check]:
    failed = sum(figures.failures.values())
    wrong = wrong_scores(figures.failures)
    known = figures.golden + wrong
    return [
        Check("requests", figures.sent, ">=", limits.min_requests),
        Check(
            "right replies a second",
            figures.right / figures.seconds,
            ">=",
            limits.min_rate_ratio * figures.target,
        ),
        *_percentiles(
            "accepted " if limits.finished_ms else "", figures.latency, limits.percentiles_ms
        ),
        *_of_jobs(figures, limits),
        Check("share failed", failed / max(figures.planned, 1), "<=", limits.max_error_ratio),
        # There is no tolerance: a wrong score is a fault of the service, however rare.
        Check("golden rows with another score", wrong if known else None, "<=", 0, may_lack=True),
    ]


def _percentiles(what: str, times: Histogram, limits_ms: dict[float, float]) -> list[Check]:
    return [
        Check(f"{what}p{share * 100:g}, ms", times.percentile_ms(share), "<=", limit)
        for share, limit in sorted(limits_ms.items())
    ]


def _of_jobs(figures: Figures, limits: Limits) -> list[Check]:
    if not limits.finished_ms:
        return []
    return [
        *_percentiles("finished ", figures.finished, limits.finished_ms),
        Check("jobs lost", figures.lost, "<=", 0),
    ]


def _of_generator(figures: Figures, limits: GeneratorLimits) -> list[Check]:
    late = figures.lateness.percentile_ms(0.99)
    return [
        Check(
            "generator's lateness p99, ms",
            late,
            "<=",
            limits.max_lateness_p99_ms,
            of_generator=True,
        ),
        Check("generator's CPU, of a core", figures.cpu, "<=", limits.max_cpu, of_generator=True),
    ]


def _outcome(figures: Figures, checks: Sequence[Check]) -> Outcome:
    if not figures.sent:
        return Outcome.NOTHING_RAN
    missed = [check for check in checks if check.holds is False]
    if any(check.of_generator for check in missed):
        return Outcome.GENERATOR_LAGGED
    return Outcome.BROKEN if missed else Outcome.HELD
