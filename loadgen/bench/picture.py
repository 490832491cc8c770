"""The results as a picture: rates as bars, 99th percentiles as lines."""

from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadgen.bench.targets import TARGETS
from loadgen.common import machine

_COLOURS: Final = dict(
    zip(
        TARGETS,
        ("#1f77b4", "#9467bd", "#555555", "#8c8c8c", "#c4c4c4", "#2ca02c", "#d62728"),
        strict=True,
    )
)


def draw(content: dict[str, Any], path: Path) -> None:
    """Draw the medians of a run into a PNG."""
    singles = [row for row in content["medians"] if row["rows"] == 1]
    counts = sorted({row["workers"] for row in singles})
    figure = Figure(figsize=(10 * len(counts), 9), layout="constrained")
    columns = figure.subplots(2, len(counts), squeeze=False).T
    for column, workers in zip(columns, counts, strict=True):
        rows = [row for row in singles if row["workers"] == workers]
        column[0].set_title(f"{workers} worker{'s' if workers > 1 else ''} each")
        _rates(column[0], rows)
        _latencies(column[1], rows)
    figure.suptitle("Single rows through POST /reg/, medians over the rounds", fontsize=14)
    figure.supxlabel(machine.in_words(content["machine"]), fontsize=8, color="#555555")
    figure.savefig(path, dpi=130)


def _rates(axes: Axes, rows: list[dict[str, Any]]) -> None:
    names = _names(rows)
    connections = _connections(rows)
    width = 0.84 / len(names)
    for place, name in enumerate(names):
        rate = {row["connections"]: row["rps"] for row in rows if row["target"] == name}
        left = [at + (place - (len(names) - 1) / 2) * width for at in range(len(connections))]
        bars = axes.bar(
            left, [rate[c] for c in connections], width, label=name, color=_COLOURS[name]
        )
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=2, rotation=90)
    axes.set_xticks(range(len(connections)), [str(c) for c in connections])
    axes.set_ylabel("requests per second")
    axes.set_xlabel("connections")
    axes.set_yscale("log")  # nginx answers a hundred times as often as the prototype
    axes.margins(y=0.15)
    axes.legend(ncols=len(names), loc="upper left")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _latencies(axes: Axes, rows: list[dict[str, Any]]) -> None:
    connections = _connections(rows)
    for name in _names(rows):
        latency = {row["connections"]: row["p99_ms"] for row in rows if row["target"] == name}
        values = [latency[c] for c in connections]
        axes.plot(range(len(connections)), values, marker="o", label=name, color=_COLOURS[name])
        axes.annotate(
            f"{name} {values[-1]:,.1f}",
            (len(connections) - 1, values[-1]),
            xytext=(8, -3),
            textcoords="offset points",
            color=_COLOURS[name],
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(range(len(connections)), [str(c) for c in connections])
    # Room for the names at the right end.
    axes.set_xlim(-0.2, (len(connections) - 1) * 1.18 + 0.1)
    axes.set_ylabel("99th percentile of latency, ms")
    axes.set_xlabel("connections")
    axes.grid(which="both", alpha=0.3)


def _names(rows: list[dict[str, Any]]) -> list[str]:
    measured = {row["target"] for row in rows}
    return [name for name in TARGETS if name in measured]


def _connections(rows: list[dict[str, Any]]) -> list[int]:
    return sorted({row["connections"] for row in rows})
