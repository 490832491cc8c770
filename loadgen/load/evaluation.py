"""From counts to the figures of stages and the rows of plots."""

from collections import Counter
from math import ceil
from typing import Any, Final

from loadgen.common.schedule import bounds, due_times, planned, rate_at
from loadgen.load.limits import Limits
from loadgen.load.shapes import Shape
from loadgen.load.stats import LOST, UNANSWERED, UNSENT, Second, Stats
from loadgen.load.verdict import Figures, StageResult, evaluate

# A stage is evaluated when its last requests have had this long to end.
SETTLE_SECONDS: Final = 2


def stage_results(stats: Stats, shape: Shape, limits: Limits, now: float) -> list[StageResult]:
    """The results of the judged stages that have ended and settled, in order."""
    ends = bounds(shape.stages)
    return [
        evaluate(figures(stats, shape, number, now), limits, shape.generator)
        for number, stage in enumerate(shape.stages)
        if stage.judged and ends[number][1] + SETTLE_SECONDS <= now
    ]


def figures(stats: Stats, shape: Shape, number: int, now: float) -> Figures:
    """The figures of a stage so far."""
    begin, end = bounds(shape.stages)[number]
    stage, due = shape.stages[number], planned(shape.stages)[number]
    counts = stats.between(begin, end)
    _add_lost(counts, due, max(shape.generator.timeout_seconds, now - end))
    return Figures(
        name=stage.name,
        target=(stage.began_at + stage.rate) / 2,
        seconds=stage.seconds,
        planned=due,
        sent=counts.sent,
        right=counts.right,
        golden=counts.golden,
        failures=counts.failures,
        latency=counts.scored,
        lateness=counts.late,
        cpu=stats.cpu(begin, end),
        accepted=counts.accepted,
        ended=counts.ended,
        rows=counts.rows,
        finished=counts.finished,
    )


def _add_lost(counts: Second, due: int, waited: float) -> None:
    """Count due requests that were not sent or not answered, and jobs without an end, as failed.

    `waited` is the least time that each of them waited or would have waited.
    """
    lost = {
        UNSENT: due - counts.sent,
        UNANSWERED: counts.sent - counts.done,
        LOST: counts.accepted - counts.ended,
    }
    counts.failures.update({why: count for why, count in lost.items() if count > 0})
    if lost[LOST] > 0:
        counts.finished.add(waited, lost[LOST])
    if due > counts.done:
        counts.scored.add(waited, due - counts.done)


def rows(stats: Stats, shape: Shape, now: float) -> list[dict[str, Any]]:
    """A row for each second so far; lost requests are counted in those that have settled."""
    due = Counter(map(int, due_times(shape.stages)))
    made = []
    for number in range(min(shape.seconds, ceil(max(0.0, now)))):
        second = stats.between(number, number + 1)
        if number + 1 + SETTLE_SECONDS <= now:
            waited = max(shape.generator.timeout_seconds, now - number - 1)
            _add_lost(second, due[number], waited)
        made.append(row(second, shape, number))
    return made


def row(second: Second, shape: Shape, number: int) -> dict[str, Any]:
    """A second for the line of progress and for plots; times in ms."""
    made = {
        "second": number,
        "target": round(rate_at(shape.stages, number + 0.5), 1),
        "sent": second.sent,
        "right": second.right,
        "failed": sum(second.failures.values()),
        "p50": second.scored.percentile_ms(0.5),
        "p95": second.scored.percentile_ms(0.95),
        "p99": second.scored.percentile_ms(0.99),
        "late": second.late.percentile_ms(0.99),
        "cpu": round(second.cpu, 3),
    }
    if shape.mix.has_jobs:
        made |= {
            "rows": second.rows,
            "finished p50": second.finished.percentile_ms(0.5),
            "finished p99": second.finished.percentile_ms(0.99),
        }
    return made


def line(row: dict[str, Any]) -> str:
    """A second as a line of progress."""
    times = "  ".join(f"{name} {_ms(row[name])}" for name in ("p50", "p99", "late"))
    return (
        f"{row['second']:4} s  target {row['target']:6,.0f}/s  right {row['right']:6,}  "
        f"failed {row['failed']:4,}  {times} ms  cpu {row['cpu']:4.0%}"
    )


def _ms(value: float | None) -> str:
    return f"{'-':>6}" if value is None else f"{value:6.1f}"
