"""Labelled rows for training, and the command that trains on them."""

import csv
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from model import train
from model.regno import RegnoScorer
from model.regno.request import FIELDS, from_fields
from model.regno.training.simulate import simulate

TINY: Final = "[catboost]\niterations = 12\nearly_stopping_rounds = 12\ndepth = 3\n"
_FIRST: Final = datetime(2021, 3, 1, 6)  # noqa: DTZ001 - wall-clock times bear no zone

Row = dict[str, Any]


def labelled(count: int = 400, seed: int = 3, every: int = 60) -> list[Row]:
    """Simulated rows in the order of time, one every so many seconds of March 2021."""
    return [
        {
            **sample.request,
            "time_check": str(_FIRST + timedelta(seconds=every * number)),
            "label": sample.label,
        }
        for number, sample in enumerate(simulate(count, seed))
    ]


def write(path: Path, rows: Iterable[Mapping[str, Any]], label: str = "label") -> Path:
    """A CSV file of rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, (*FIELDS, label), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def run(folder: Path, *options: object, out: str = "out") -> int:
    """Train on rows.csv of a folder by tiny parameters. Returns the exit status."""
    tiny = folder / "tiny.toml"
    if not tiny.exists():
        tiny.write_text(TINY, encoding="utf-8")
    fixed = ("--data", folder / "rows.csv", "--out", folder / out, "--parameters", tiny)
    return train.main([*map(str, (*fixed, *options))])


def report(out: Path) -> dict[str, Any]:
    """The report of a run."""
    content: dict[str, Any] = json.loads((out / "report.json").read_bytes())
    return content


def scores(model: Path, rows: Iterable[Mapping[str, Any]]) -> list[float]:
    """The positive probabilities of rows by a model file, as the service scores them."""
    scorer = RegnoScorer.load(model)
    scorer.warm()
    readings = [from_fields(**{name: row[name] for name in FIELDS}) for row in rows]
    return [score.positive for score in scorer.score(readings)]
