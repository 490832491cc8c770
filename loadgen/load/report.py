"""The result of a run as a table and as JSON."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Final, NamedTuple

from loadgen.load.histogram import Histogram
from loadgen.load.verdict import (
    Check,
    Figures,
    Outcome,
    StageResult,
    greatest_held,
    overall,
)

_SHARES: Final = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)


class Run(NamedTuple):
    """A finished run of a shape.

    `seconds` are the rows of the plots. `golden` counts golden rows with the right score,
    `golden_wrong` those with another, `models` right replies by the version that they name ("" for
    none), `generators_lost` the processes that ended before the run did.
    """

    shape: str
    seeks_knee: bool
    stage_results: Sequence[StageResult]
    seconds: Sequence[dict[str, Any]]
    golden: int
    models: dict[str, int]
    about: dict[str, Any]
    generators_lost: int = 0
    golden_wrong: int = 0

    @property
    def outcome(self) -> Outcome:
        """The outcome of the run.

        A search for the knee ends with steps that break: it held if the knee was found. It was
        not found if the generator lagged. A lost generator sent none of its remaining requests.
        """
        if self.generators_lost:
            return Outcome.GENERATOR_LAGGED
        missed = takewhile(lambda outcome: outcome is not Outcome.HELD, self._outcomes_backwards())
        found = self.knee is not None and all(outcome is Outcome.BROKEN for outcome in missed)
        return Outcome.HELD if found else overall(self.stage_results)

    def _outcomes_backwards(self) -> list[Outcome]:
        return [result.outcome for result in reversed(self.stage_results)]

    @property
    def knee(self) -> float | None:
        """The greatest rate that held, if the run is a search for it."""
        return greatest_held(self.stage_results) if self.seeks_knee else None


def as_text(run: Run) -> str:
    """The verdict as a table; the outcome is in its first line."""
    blocks = [f"{run.shape}: {run.outcome.value}\n", *(_block(one) for one in run.stage_results)]
    if run.knee is not None:
        blocks.append(f"Greatest rate that held: {run.knee:,.0f} requests a second\n")
    blocks.append(f"Golden rows: {_golden(run)}\n")
    if len(run.models) > 1:
        counts = (f"{name or 'none'} {count:,}" for name, count in sorted(run.models.items()))
        blocks.append(f"Replies by version of the model: {', '.join(counts)}\n")
    if run.generators_lost:
        blocks.append(f"Generators lost: {run.generators_lost}\n")
    return "\n".join(blocks)


def _golden(run: Run) -> str:
    """How many scores were compared with known ones, or why none was."""
    if run.golden or run.golden_wrong:
        others = f", {run.golden_wrong:,} with another" if run.golden_wrong else ""
        return f"{run.golden:,} with the known score{others}"
    if not run.models:
        return "not checked, no row was scored"
    named = sorted(filter(None, run.models))
    if not named:
        return "not checked, the service names no version"
    return f"not checked, no score is known for version {', '.join(named)}"


def _block(result: StageResult) -> str:
    figures = result.figures
    failures = sorted(figures.failures.items(), key=lambda pair: -pair[1])
    return "\n".join(
        [
            f"{figures.name}, {figures.seconds:g} s: {result.outcome.value}",
            *(_line(check) for check in result.checks),
            *_rows_scored(figures),
            *(f"  {count:,} failed: {reason}" for reason, count in failures[:8]),
            "",
        ]
    )


def _rows_scored(figures: Figures) -> list[str]:
    if not figures.accepted:
        return []
    return [f"  {'rows scored a second':30} {_number(figures.rows / figures.seconds):>10}"]


def _line(check: Check) -> str:
    value = "-" if check.value is None else _number(check.value)
    sign = "≤" if check.sign == "<=" else "≥"
    status = {True: "ok", False: "MISSED", None: "not checked"}[check.holds]
    return f"  {check.name:30} {value:>10}  {sign} {_number(check.limit):>8}  {status}"


def _number(value: float) -> str:
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1 else f"{value:.4f}"


def as_json(run: Run) -> dict[str, Any]:
    """The result as plain values, with all percentiles."""
    return {
        "shape": run.shape,
        "outcome": run.outcome.value,
        "knee": run.knee,
        "golden_rows": run.golden,
        "golden_rows_wrong": run.golden_wrong,
        "models": run.models,
        "generators_lost": run.generators_lost,
        "about": run.about,
        "stages": [_stage(result) for result in run.stage_results],
        "seconds": list(run.seconds),
    }


def _stage(result: StageResult) -> dict[str, Any]:
    figures = result.figures
    jobs = {
        "accepted": figures.accepted,
        "ended": figures.ended,
        "lost": figures.lost,
        "rows_per_second": figures.rows / figures.seconds,
        "finished_ms": _times(figures.finished),
    }
    return {
        "name": figures.name,
        "outcome": result.outcome.value,
        "target": figures.target,
        "seconds": figures.seconds,
        "planned": figures.planned,
        "sent": figures.sent,
        "right": figures.right,
        "failures": figures.failures,
        "latency_ms": _times(figures.latency),
        "lateness_ms": _times(figures.lateness),
        "cpu": figures.cpu,
        "checks": [{**check._asdict(), "holds": check.holds} for check in result.checks],
        **({"jobs": jobs} if figures.accepted else {}),
    }


def _times(histogram: Histogram) -> dict[str, float | None]:
    return {f"p{share * 100:g}": histogram.percentile_ms(share) for share in _SHARES}
