"""Medians over the rounds, and ratios within each round.

A ratio is taken inside a round, where both targets met the same machine, and only then the
median over the rounds: a machine that slows down for a while does not favour anyone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from statistics import median
from typing import Any, Final, Literal, NamedTuple

from loadgen.bench.measure import Measurement

_KEYS: Final = ("target", "connections", "rows")


class Wanted(NamedTuple):
    """A ratio of two targets' values under the same load of single rows."""

    value: Literal["rps", "p99_ms"]
    over: str
    under: str
    connections: int


WANTED: Final = (
    Wanted("rps", "service", "fastapi", 16),
    Wanted("rps", "service", "fastapi", 64),
    Wanted("rps", "service", "unobserved", 16),
    Wanted("rps", "service", "unobserved", 64),
    Wanted("rps", "service", "empty", 16),
    Wanted("rps", "service", "empty", 64),
    Wanted("rps", "service", "prototype", 1),
    Wanted("rps", "service", "prototype", 16),
    Wanted("p99_ms", "service", "fastapi", 16),
)


def medians(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """For each target and load the median of every value, and all errors together."""
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
    """Every ratio that was measured: its name, its value in each round, their median."""
    rounds = [
        [item for item in measurements if item.round == number]
        for number in sorted({item.round for item in measurements})
    ]
    named = [(_name(wanted), [_ratio(wanted, each) for each in rounds]) for wanted in WANTED]
    named += _bulk(rounds)
    return [
        {"name": name, "per_round": values, "median": median(values)}
        for name, values in ((name, _known(values)) for name, values in named)
        if values
    ]


def _name(wanted: Wanted) -> str:
    what = wanted.value.removesuffix("_ms")
    return f"{what} {wanted.over} ÷ {wanted.under} @{wanted.connections}"


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _ratio(wanted: Wanted, measurements: Iterable[Measurement]) -> float | None:
    """The ratio in one round; None if one of the two was not measured or is zero."""
    value = {
        item.target: float(getattr(item, wanted.value))
        for item in measurements
        if item.rows == 1 and item.connections == wanted.connections
    }
    over, under = value.get(wanted.over), value.get(wanted.under)
    return over / under if over is not None and under else None


def _bulk(rounds: Sequence[Sequence[Measurement]]) -> list[tuple[str, list[float | None]]]:
    sizes = sorted({item.rows for each in rounds for item in each if item.rows > 1})
    return [
        (
            f"rows/s in arrays of {size} ÷ best single-row rps",
            [_bulk_ratio(size, each) for each in rounds],
        )
        for size in sizes
    ]


def _bulk_ratio(size: int, measurements: Iterable[Measurement]) -> float | None:
    singles: dict[str, float] = {}
    arrays: dict[str, float] = {}
    for item in measurements:
        if item.rows == 1:
            singles[item.target] = max(item.rps, singles.get(item.target, 0.0))
        elif item.rows == size:
            arrays[item.target] = item.rps * item.rows
    return next((arrays[name] / singles[name] for name in arrays if singles.get(name)), None)


def plain(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """The measurements as dictionaries."""
    return [asdict(item) for item in measurements]
