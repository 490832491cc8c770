"""The counts of one or more generators, by second."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from loadgen.load.histogram import Histogram, merged
from loadgen.load.workload import JOBS, REFUSED, SCORED, Kind

# The reasons of requests without a reply, and of those that were never sent.
UNSENT = "not sent: all connections were waiting for replies"
UNANSWERED = "no reply when the run ended"
# The reason of jobs that were accepted, and either vanished or still went on.
LOST = "a job was accepted, and had not ended when the run ended"


class Second(Struct):
    """One second of the schedule.

    `sent`, `done`, `failures` and the latencies belong to requests that were due in it, whenever
    they ended. `right` counts right replies that arrived in it; `late` is the generator's lateness.
    `models` counts right scores by the version that the reply names, "" if it names none.

    Of jobs, `accepted` and `ended` count those that were due in it, and `finished` has the times
    from then to their end; `rows` are those of jobs that succeeded in it.
    """

    sent: int = 0
    done: int = 0
    right: int = 0
    golden: int = 0
    models: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    scored: Histogram = field(default_factory=Histogram)
    refused: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)
    cpu: float = 0.0
    accepted: int = 0
    ended: int = 0
    rows: int = 0
    finished: Histogram = field(default_factory=Histogram)

    def merge(self, other: "Second") -> None:
        """Add another generator's counts; of the CPU shares the greatest counts."""
        self.sent += other.sent
        self.done += other.done
        self.right += other.right
        self.golden += other.golden
        _add_counts(self.models, other.models)
        _add_counts(self.failures, other.failures)
        self.scored.merge(other.scored)
        self.refused.merge(other.refused)
        self.late.merge(other.late)
        self.cpu = max(self.cpu, other.cpu)
        self.accepted += other.accepted
        self.ended += other.ended
        self.rows += other.rows
        self.finished.merge(other.finished)


class Completed(Struct, frozen=True):
    """A request that has ended, with its due time and the fault of its reply, if any.

    `model` is the version that the reply names, `golden` whether its score is known.
    """

    kind: Kind
    due: float
    ended: float
    fault: str | None
    golden: bool = False
    model: str | None = None


class JobEnd(Struct, frozen=True):
    """The end of a job: due time and end in seconds of the schedule, and its fault, if any.

    `rows` were scored by the model of the version `model`.
    """

    due: float
    ended: float
    fault: str | None
    rows: int = 0
    golden: bool = False
    model: str = ""


class Stats(Struct):
    """The counts by second after the start of the schedule."""

    seconds: dict[int, Second] = field(default_factory=dict)

    def at(self, moment: float) -> Second:
        """The counts of the second that contains a moment."""
        number = int(moment)
        second = self.seconds.get(number)
        if second is None:
            second = self.seconds[number] = Second()
        return second

    def add(self, done: Completed) -> None:
        """Count a request that has ended."""
        second = self.at(done.due)
        second.done += 1
        times = second.refused if done.kind in REFUSED else second.scored
        times.add(done.ended - done.due)
        if done.fault is None:
            self.at(done.ended).right += 1
            second.golden += done.golden
            second.accepted += done.kind in JOBS
            if done.kind in SCORED:
                _add_counts(second.models, {done.model or "": 1})
        else:
            _add_counts(second.failures, {done.fault: 1})

    def add_end(self, job: JobEnd) -> None:
        """Count the end of a job."""
        second = self.at(job.due)
        second.ended += 1
        second.finished.add(job.ended - job.due)
        if job.fault is None:
            self.at(job.ended).rows += job.rows
            second.golden += job.golden
            _add_counts(second.models, {job.model: 1})
        else:
            _add_counts(second.failures, {job.fault: 1})

    def merge(self, other: "Stats") -> None:
        """Add the counts of others."""
        for number, second in other.seconds.items():
            self.at(number).merge(second)

    def between(self, begin: int, end: int) -> Second:
        """The sum of the seconds from `begin` up to `end`, which is excluded."""
        together = Second()
        for second in self._within(begin, end):
            together.merge(second)
        return together

    def cpu(self, begin: int, end: int) -> float:
        """The busiest generator's share of a core, averaged over these seconds."""
        return sum(second.cpu for second in self._within(begin, end)) / max(end - begin, 1)

    def all_latencies(self) -> Histogram:
        """The latencies of scored and rejected requests."""
        seconds = self.seconds.values()
        return merged(times for second in seconds for times in (second.scored, second.refused))

    def _within(self, begin: int, end: int) -> Iterable[Second]:
        return (self.seconds[n] for n in range(begin, end) if n in self.seconds)


def _add_counts(counts: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts by name."""
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def packed(stats: Stats) -> Any:
    """The stats as plain values, for Locust's messages."""
    return msgspec.to_builtins(stats, builtin_types=(), str_keys=False)


def unpacked(content: Any) -> Stats:
    """The stats from packed values."""
    return msgspec.convert(content, Stats)
