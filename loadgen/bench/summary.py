"""Medians over the rounds, and ratios within each round.

A ratio is computed within a round, where both targets had the same machine, and the median is
taken over the rounds: a machine that slows down for a while favours no target.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from functools import partial
from statistics import median
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from loadgen.bench.measure import BULK_TARGET, COLUMNS, Measurement

# The value of a ratio in one round; None if it was not measured.
Ratio: TypeAlias = Callable[[Sequence[Measurement]], float | None]

_KEYS: Final = ("workers", "target", "connections", "rows")


class RatioSpec(NamedTuple):
    """A ratio of two targets under the same load of single rows."""

    value: Literal["rps", "p99_ms"]
    over: str
    under: str
    connections: tuple[int, ...]


RATIOS: Final = (
    RatioSpec("rps", "service", "floor", (1, 16, 64)),
    RatioSpec("rps", "service", "asgi", (1, 16, 64)),
    RatioSpec("rps", "service", "nginx", (1, 16, 64)),
    RatioSpec("rps", "service", "fastapi", (1, 16, 64)),
    RatioSpec("rps", "service", "unobserved", (16, 64)),
    RatioSpec("rps", "service", "prototype", (1, 16)),
    RatioSpec("p99_ms", "service", "fastapi", (16, 64)),
)


def medians(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """The median of every value by target and load, and the sum of errors."""
    groups: dict[tuple[Any, ...], list[Measurement]] = {}
    for measurement in measurements:
        key = tuple(getattr(measurement, name) for name in _KEYS)
        groups.setdefault(key, []).append(measurement)
    return [_median(group) for group in groups.values()]


def _median(group: Sequence[Measurement]) -> dict[str, Any]:
    row = {name: getattr(group[0], name) for name in _KEYS}
    for field in fields(Measurement):
        if field.name not in (*_KEYS, "round", "errors"):
            row[field.name] = median(getattr(item, field.name) for item in group)
    row["errors"] = sum(item.errors for item in group)
    return row


def ratios(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Every measured ratio: its name, its value in each round, their median."""
    rows = []
    for workers in sorted({item.workers for item in measurements}):
        rounds = [
            [item for item in measurements if (item.round, item.workers) == (number, workers)]
            for number in sorted({item.round for item in measurements})
        ]
        for name, of_rounds in (*_singles(), *_arrays(measurements)):
            values = [value for value in map(of_rounds, rounds) if value is not None]
            if values:
                row = {"workers": workers, "name": name, "per_round": values}
                rows.append({**row, "median": median(values)})
    return rows


def _singles() -> list[tuple[str, Ratio]]:
    return [
        (
            f"{spec.value.removesuffix('_ms')} {spec.over} ÷ {spec.under} @{connections}",
            partial(_ratio, spec, connections),
        )
        for spec in RATIOS
        for connections in spec.connections
    ]


def _ratio(spec: RatioSpec, connections: int, measurements: Iterable[Measurement]) -> float | None:
    """The ratio in one round; None if one of the two was not measured or is zero."""
    value = {
        item.target: float(getattr(item, spec.value))
        for item in measurements
        if item.rows == 1 and item.connections == connections
    }
    over, under = value.get(spec.over), value.get(spec.under)
    return over / under if over is not None and under else None


def _arrays(measurements: Iterable[Measurement]) -> list[tuple[str, Ratio]]:
    sizes = sorted({item.rows for item in measurements if item.rows > 1})
    return [
        *((f"rows/s in arrays of {size} ÷ best single-row rps", partial(_bulk, size))
          for size in sizes),
        *((f"CPU a row {COLUMNS} ÷ service in arrays of {size}", partial(_columns, size))
          for size in sizes),
    ]  # fmt: skip


def _bulk(size: int, measurements: Iterable[Measurement]) -> float | None:
    service = [item for item in measurements if item.target == BULK_TARGET]
    single = max((item.rps for item in service if item.rows == 1), default=0.0)
    array = next((item.rps * size for item in service if item.rows == size), None)
    return array / single if array and single else None


def _columns(size: int, measurements: Iterable[Measurement]) -> float | None:
    cost = {item.target: item.cpu_s_per_1000 for item in measurements if item.rows == size}
    service, bare = cost.get(BULK_TARGET), cost.get(COLUMNS)
    return bare / service if service and bare else None


def plain(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """The measurements as dictionaries."""
    return [asdict(item) for item in measurements]
