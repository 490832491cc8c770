"""The course of a run: start, a line of progress each second, evaluation, verdict."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from math import ceil
from pathlib import Path
from typing import Any, Final

import gevent

from loadgen.common.schedule import bounds, planned
from loadgen.load import evaluation, pages
from loadgen.load.histogram import Histogram
from loadgen.load.limits import Limits, read
from loadgen.load.replies import wrong_scores
from loadgen.load.report import Run, as_text
from loadgen.load.shapes import Shape
from loadgen.load.stats import Stats
from loadgen.load.verdict import Outcome, StageResult, evaluate, is_over

# Time for the message to reach every generator before the first request is due.
LEAD_SECONDS: Final = 1.0
_TICK: Final = 0.1
# Generators deliver twice a second: a second is complete half a second after its end.
_WHOLE_AFTER: Final = 1.6


class LoadRunner:
    """A run as a whole; `generators` returns the names of the processes that send now.

    `latency` and `failures` are sums over all seconds, kept so that a scrape need not add them up.
    """

    def __init__(self, out: Path, generators: Callable[[], Collection[str]]) -> None:
        self.stats = Stats()
        self.latency = Histogram()
        self.failures: Counter[str] = Counter()
        self.shape: Shape | None = None
        self._limits = read()
        self._out = out
        self._generators = generators
        self._began_with: frozenset[str] = frozenset()
        self._started = 0.0
        self._printed = 0
        self._steps: list[StageResult] = []

    def take(self, stats: Stats) -> None:
        """Add the counts of a generator since its last delivery."""
        self.stats.merge(stats)
        self.latency.merge(stats.all_latencies())
        for second in stats.seconds.values():
            self.failures.update(second.failures)

    def begin(self, shape: Shape) -> float:
        """Reset the counts; the start of the run as a time of `time.perf_counter`."""
        self.stats = Stats()
        self.shape, self._printed, self._steps = shape, 0, []
        self._began_with = frozenset(self._generators())
        self._started = time.perf_counter() + LEAD_SECONDS
        return self._started

    def now(self) -> float:
        """Seconds since the schedule began, below zero before."""
        return time.perf_counter() - self._started

    def watch(self, shape: Shape) -> None:
        """Print the progress until the run is over."""
        limits = self._limits[shape.limits]
        while not self._over(shape):
            gevent.sleep(_TICK)
            while self._printed + _WHOLE_AFTER <= self.now() and self._printed < shape.seconds:
                second = self.stats.between(self._printed, self._printed + 1)
                _print(evaluation.line(evaluation.row(second, shape, self._printed)))
                self._printed += 1
            if shape.seeks_knee and self._past_the_knee(shape, limits):
                return

    def conclude(self, shape: Shape, about: dict[str, Any]) -> Outcome:
        """Evaluate the run, print the verdict, write the files. Raises BadFile."""
        limits = self._limits[shape.limits]
        # The steps of a search are already evaluated; further stages may have ended since.
        results = self._steps or evaluation.stage_results(self.stats, shape, limits, self.now())
        whole = self.stats.between(0, ceil(max(0.0, self.now())))
        run = Run(
            shape=shape.name,
            seeks_knee=shape.seeks_knee,
            stage_results=results,
            seconds=evaluation.rows(self.stats, shape, self.now()),
            golden=whole.golden,
            golden_wrong=wrong_scores(whole.failures),
            models=whole.models,
            about={**about, "limits": shape.limits, "generators": len(self._began_with)},
            generators_lost=len(self._began_with.difference(self._generators())),
        )
        _print("\n" + as_text(run))
        _print("Written: " + ", ".join(map(str, pages.write(run, self._out))))
        return run.outcome

    def _over(self, shape: Shape) -> bool:
        past = self.now() - shape.seconds
        if past <= evaluation.SETTLE_SECONDS:
            return False
        latest = shape.generator.timeout_seconds + evaluation.SETTLE_SECONDS
        if shape.mix.has_jobs:
            latest += shape.generator.job_seconds
        return past > latest or self._all_ended(shape)

    def _all_ended(self, shape: Shape) -> bool:
        """Whether all requests have a reply, and all jobs an end."""
        seconds = self.stats.seconds.values()
        running = sum(second.accepted - second.ended for second in seconds)
        done = sum(second.done for second in seconds)
        return done >= sum(planned(shape.stages)) and not running

    def _past_the_knee(self, shape: Shape, limits: Limits) -> bool:
        """Evaluate the step that has ended last, once; whether the search is over."""
        number = len(self._steps)
        ended = bounds(shape.stages)[number : number + 1]
        if not ended or ended[0][1] + evaluation.SETTLE_SECONDS > self.now():
            return False
        figures = evaluation.figures(self.stats, shape, number, self.now())
        self._steps.append(evaluate(figures, limits, shape.generator))
        return is_over(self._steps)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
