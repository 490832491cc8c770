"""A picture of the results: rates as bars, 99th percentiles as lines."""

import math
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
# Of the height of a plot.
_LABEL_HEIGHT: Final = 0.055


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
    handles, names = columns[0][0].get_legend_handles_labels()
    figure.legend(
        handles, names, ncols=len(names), loc="outside upper center", frameon=False,
        title="Single rows through POST /reg/, medians over the rounds", title_fontsize=14,
    )  # fmt: skip
    figure.supxlabel(machine.summary(content["machine"]), fontsize=8, color="#555555")
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
    axes.margins(y=0.25)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _latencies(axes: Axes, rows: list[dict[str, Any]]) -> None:
    connections = _connections(rows)
    last: dict[str, float] = {}
    for name in _names(rows):
        latency = {row["connections"]: row["p99_ms"] for row in rows if row["target"] == name}
        values = [latency[c] for c in connections]
        axes.plot(range(len(connections)), values, marker="o", label=name, color=_COLOURS[name])
        last[name] = values[-1]
    axes.set_yscale("log")
    _label(axes, len(connections) - 1, last)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(range(len(connections)), [str(c) for c in connections])
    # Space for the names at the right end.
    axes.set_xlim(-0.2, (len(connections) - 1) * 1.18 + 0.1)
    axes.set_ylabel("99th percentile of latency, ms")
    axes.set_xlabel("connections")
    axes.grid(which="both", alpha=0.3)


def _label(axes: Axes, x: float, values: dict[str, float]) -> None:
    """Write names and values at the right end of the lines, far enough apart to be read."""
    low, high = axes.get_ylim()
    height = math.log(high / low)
    lowest = -math.inf
    for name, value in sorted(values.items(), key=lambda item: item[1]):
        place = math.log(value / low) / height
        lowest = max(place, lowest + _LABEL_HEIGHT)
        axes.annotate(
            f"{name} {value:,.1f}",
            (x, value),
            xytext=(x + 0.04, low * math.exp(lowest * height)),
            textcoords="data",
            color=_COLOURS[name],
            va="center",
        )


def _names(rows: list[dict[str, Any]]) -> list[str]:
    measured = {row["target"] for row in rows}
    return [name for name in TARGETS if name in measured]


def _connections(rows: list[dict[str, Any]]) -> list[int]:
    return sorted({row["connections"] for row in rows})
