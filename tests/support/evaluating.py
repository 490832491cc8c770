"""`python -m model.evaluate` on files of rows, and its report."""

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from model import evaluate

# Evaluates a file with options, and returns the report.
Measured: TypeAlias = Callable[..., dict[str, Any]]


def run(path: Path, *options: object) -> int:
    """Evaluate without a progress bar. Returns the exit status."""
    return evaluate.main([str(path), "--no-progress", *map(str, options)])


def save(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """A CSV file of rows with all their columns."""
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
