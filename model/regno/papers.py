"""The manifest of a model file that came without one, as far as the file can tell."""

import csv
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from model.errors import ModelRefused
from model.regno import golden
from model.regno.catboost_file import BinaryModel
from model.regno.manifest import Feature, Manifest
from model.regno.request import FIELDS, Reading, from_fields
from model.regno.scorer import CONTEXTS, RegnoScorer
from model.regno.vocabulary import ASKED, known

NAME: Final = "regno"


def papers(path: Path, sample: Path | None = None) -> Manifest:
    """The manifest beside a model file or else a derived one; the model can be served.

    `sample` is a CSV file of readings that the model was trained on or served with: its
    categories become the vocabularies. Raises ModelRefused.
    """
    scorer = RegnoScorer.load(path)
    scorer.warm()
    if scorer.manifest is None:
        return _derived(scorer, path, sample)
    if sample:
        raise ModelRefused("it has a manifest, whose vocabularies a sample would contradict")
    return scorer.manifest


def _derived(scorer: RegnoScorer, path: Path, sample: Path | None) -> Manifest:
    model = BinaryModel.load(path)
    seen, training = _categories(sample) if sample else ({}, {})
    taken = [name for name, kind in model.features if kind == "categorical" and name in seen]
    contexts = scorer.rows(golden.readings()[:CONTEXTS])
    return Manifest(
        name=NAME,
        version=scorer.version,
        file=path.name,
        sha256=model.sha256,
        features=[Feature(name, kind) for name, kind in model.features],
        vocabularies=known(model, contexts, {name: seen[name] for name in taken}),
        golden=[score.positive for score in scorer.score(golden.readings())],
        training=training,
        libraries={
            "python": platform.python_version(),
            **{name: version(name) for name in ("catboost", "numpy")},
        },
        metrics={},
        borders=model.borders(),
    )


def _categories(sample: Path) -> tuple[dict[str, set[str]], dict[str, dict[str, int]]]:
    """For each category that clients send the values of a sample; and how many rows it had.

    Of the categories computed here, months and templates among them, a sample has what it
    happens to have: that a model was not shown another is nobody's fault.
    """
    seen: dict[str, set[str]] = {name: set() for name in ASKED}
    rows = bad = 0
    for reading in _readings(sample):
        rows += 1
        if reading is None:
            bad += 1
            continue
        for name, values in seen.items():
            values.add(getattr(reading, name))
    if rows == bad:
        raise ModelRefused(f"none of the {rows} rows of {sample} is a reading")
    return seen, {"vocabularies": {"rows": rows, "unreadable": bad}}


def _readings(sample: Path) -> Iterator[Reading | None]:
    """Each row of a CSV file, None for one that is no reading. Raises ModelRefused."""
    try:
        with sample.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            _check_header(rows.fieldnames or (), sample)
            for row in rows:
                yield _reading(row)
    except (OSError, UnicodeError, csv.Error) as error:
        raise ModelRefused(f"{sample} can't be read as CSV in UTF-8") from error


def _check_header(names: Sequence[str], sample: Path) -> None:
    if missing := [name for name in FIELDS if name not in names]:
        raise ModelRefused(f"the header of {sample} lacks {', '.join(missing)}")


def _reading(row: Mapping[str, str]) -> Reading | None:
    try:
        return from_fields(**{name: row[name] for name in FIELDS})
    except msgspec.ValidationError:
        return None
