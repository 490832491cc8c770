"""What one or many generators have seen, second by second."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from loadgen.load.histogram import Histogram, merged
from loadgen.load.workload import SCORED, Kind

# What is said of requests that got no reply, or that there was never room to send.
UNSENT = "not sent: all connections were waiting for replies"
UNANSWERED = "no reply when the run ended"


class Second(Struct):
    """One second of the schedule.

    `sent`, `done`, `failures` and the latencies are of requests due in it, whenever they came
    back; `right` counts the right replies that came back in it; `late` is the generator's own.
    `models` counts right scores by the version that the reply names, "" if it names none.
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

    def merge(self, other: "Second") -> None:
        """Add another generator's; of the shares of a core the greatest counts."""
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


class Completed(Struct, frozen=True):
    """A request that came to its end: when it was due and ended, what was wrong with it.

    `model` is the version that the reply names, `golden` whether the score was known for it.
    """

    kind: Kind
    due: float
    ended: float
    fault: str | None
    golden: bool = False
    model: str | None = None


class Stats(Struct):
    """Seconds by their number, counted from the start of the schedule."""

    seconds: dict[int, Second] = field(default_factory=dict)

    def at(self, moment: float) -> Second:
        """The second that a moment lies in."""
        number = int(moment)
        found = self.seconds.get(number)
        if found is None:
            found = self.seconds[number] = Second()
        return found

    def add(self, done: Completed) -> None:
        """Count a request that came to its end."""
        second = self.at(done.due)
        second.done += 1
        times = second.scored if done.kind in SCORED else second.refused
        times.add(done.ended - done.due)
        if done.fault is None:
            self.at(done.ended).right += 1
            second.golden += done.golden
            if done.kind in SCORED:
                _add_counts(second.models, {done.model or "": 1})
        else:
            _add_counts(second.failures, {done.fault: 1})

    def merge(self, other: "Stats") -> None:
        """Add what another one has counted."""
        for number, second in other.seconds.items():
            self.at(number).merge(second)

    def between(self, begin: int, end: int) -> Second:
        """Seconds from `begin` to before `end`, added up."""
        together = Second()
        for second in self._within(begin, end):
            together.merge(second)
        return together

    def cpu(self, begin: int, end: int) -> float:
        """The busiest generator's share of a core, on average over these seconds."""
        return sum(second.cpu for second in self._within(begin, end)) / max(end - begin, 1)

    def all_latencies(self) -> Histogram:
        """Of scored and of refused requests."""
        seconds = self.seconds.values()
        return merged(times for second in seconds for times in (second.scored, second.refused))

    def _within(self, begin: int, end: int) -> Iterable[Second]:
        return (self.seconds[n] for n in range(begin, end) if n in self.seconds)


def _add_counts(counts: dict[str, int], more: Mapping[str, int]) -> None:
    """Add to the counts of each name."""
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def packed(stats: Stats) -> Any:
    """Plain values, for Locust's messages."""
    return msgspec.to_builtins(stats, builtin_types=(), str_keys=False)


def unpacked(content: Any) -> Stats:
    """The stats that was packed."""
    return msgspec.convert(content, Stats)
