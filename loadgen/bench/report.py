"""The results as tables and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from loadgen.bench import summary
from loadgen.bench.options import Options
from loadgen.bench.run import Results
from loadgen.bench.targets import TARGETS
from loadgen.common import machine

_HEAD: Final = (
    *("workers", "target", "conns", "rps", "p50 ms", "p99 ms", "errors"),
    *("CPU s/1000", "busiest", "others", "RSS MiB", "PSS MiB"),
)
_BULK_HEAD: Final = (
    "workers",
    "target",
    "rows in array",
    "rows/s",
    "CPU µs/row",
    "p50 ms",
    "p99 ms",
    "errors",
    "busiest",
)
_PATHS: Final = ("model", "rows", "out")
_NOTE: Final = (
    "CPU s/1000: processor seconds for 1,000 requests. busiest: the share of one process in them.\n"
    "others: cores that programs outside the measurement kept busy."
)


def as_json(options: Options, about: dict[str, Any], results: Results) -> dict[str, Any]:
    """The whole result of a run as plain values."""
    return {
        "machine": about,
        "options": {**asdict(options), **{n: str(getattr(options, n)) for n in _PATHS}},
        "commands": {name: TARGETS[name].command(0, options) for name in options.targets},
        "checked_rows": results.checked,
        "greatest_difference": results.difference,
        "errors": sum(item.errors for item in results.measurements),
        "medians": summary.medians(results.measurements),
        "ratios": summary.ratios(results.measurements),
        "evaluators": results.evaluators,
        "measurements": summary.plain(results.measurements),
    }


def write(content: dict[str, Any], path: Path) -> None:
    """Write the results as JSON."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def as_text(content: dict[str, Any]) -> str:
    """The tables for a terminal: single rows, arrays, ratios."""
    singles = [row for row in content["medians"] if row["rows"] == 1]
    arrays = [row for row in content["medians"] if row["rows"] > 1]
    options = content["options"]
    parts = [
        machine.summary(content["machine"]),
        (
            f"medians of {options['rounds']} rounds of "
            f"{options['seconds']} s; the scores of {content['checked_rows']} rows "
            f"differ by at most {content['greatest_difference']:.1g}"
        ),
        _table(_HEAD, [_single(row) for row in _sorted(singles)]),
        _NOTE,
        _table(_BULK_HEAD, [_array(row) for row in arrays]) if arrays else "",
        _ratios(content["ratios"]),
        _evaluators(content["evaluators"]),
    ]
    return "\n" + "\n\n".join(filter(None, parts)) + "\n"


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = list(TARGETS)
    return sorted(
        rows, key=lambda row: (row["workers"], row["connections"], order.index(row["target"]))
    )


def _single(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["workers"]),
        row["target"],
        str(row["connections"]),
        f"{row['rps']:,.0f}",
        f"{row['p50_ms']:,.2f}",
        f"{row['p99_ms']:,.2f}",
        str(row["errors"]),
        f"{row['cpu_s_per_1000']:.3f}",
        f"{row['busiest']:.0%}",
        f"{row['others']:.2f}",
        f"{row['rss_mib']:,.0f}",
        f"{row['pss_mib']:,.0f}",
    )


def _array(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["workers"]),
        row["target"],
        f"{row['rows']:,}",
        f"{row['rps'] * row['rows']:,.0f}",
        f"{row['cpu_s_per_1000'] * 1e3 / row['rows']:.1f}",
        f"{row['p50_ms']:,.2f}",
        f"{row['p99_ms']:,.2f}",
        str(row["errors"]),
        f"{row['busiest']:.0%}",
    )


def _ratios(ratios: Sequence[dict[str, Any]]) -> str:
    lines = [
        (
            f"{ratio['workers']} {ratio['name']}",
            f"{ratio['median']:.2f}",
            "  ".join(f"{value:.2f}" for value in ratio["per_round"]),
        )
        for ratio in ratios
    ]
    return _table(("workers, ratio", "median", "each round"), lines) if lines else ""


def _evaluators(found: Sequence[dict[str, Any]]) -> str:
    lines = [
        (
            str(row["rows"]),
            f"{row['catboost_us']:.1f}",
            f"{row['lignum_us']:.1f}",
            f"{row['ratio']:.1f}",
            "  ".join(f"{value:.1f}" for value in row["per_round"]),
        )
        for row in found
    ]
    head = ("rows in a call", "CatBoost CPU µs/row", "pylignum CPU µs/row", "ratio", "each round")
    return f"A model without texts, evaluated without a server:\n{_table(head, lines)}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table: the first column is left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (head, *rows)
    )
