"""The manifest of a model file that came without one, as far as the file can tell."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from model.errors import ModelRefused
from model.regno import golden
from model.regno.catboost_file import BinaryModel
from model.regno.manifest import Feature, Manifest
from model.regno.sample import read
from model.regno.scorer import CONTEXTS, RegnoScorer
from model.regno.vocabulary import ASKED, known

NAME: Final = "regno"


def papers(scorer: RegnoScorer, path: Path, sample: Path | None = None) -> Manifest:
    """The manifest of a scorer that was loaded from a file, or else a derived one.

    `sample` is a CSV file of readings that the model was trained on or served with: its
    categories become the vocabularies. Raises ModelRefused.
    """
    if scorer.manifest is None:
        return _derived(scorer, path, sample)
    if sample:
        raise ModelRefused("it has a manifest, whose vocabularies a sample would contradict")
    return msgspec.structs.replace(
        scorer.manifest,
        # An older one may lack these.
        classes=list(scorer.classes),
        positive_class=scorer.positive_class,
        unexplained=scorer.try_explaining(),
    )


def _derived(scorer: RegnoScorer, path: Path, sample: Path | None) -> Manifest:
    model = BinaryModel.load(path, scorer.positive_class)
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
        classes=list(scorer.classes),
        positive_class=scorer.positive_class,
        unexplained=scorer.try_explaining(),
    )


def _categories(sample: Path) -> tuple[dict[str, set[str]], dict[str, dict[str, int]]]:
    """For each category that clients send the values of a sample; and how many rows it had.

    Of the categories computed here, months and templates among them, a sample has what it
    happens to have: that a model was not shown another is nobody's fault.
    """
    seen: dict[str, set[str]] = {name: set() for name in ASKED}
    rows = bad = 0
    for reading in read(sample):
        rows += 1
        if reading is None:
            bad += 1
            continue
        for name, values in seen.items():
            values.add(getattr(reading, name))
    if rows == bad:
        raise ModelRefused(f"none of the {rows} rows of {sample} is a reading")
    return seen, {"vocabularies": {"rows": rows, "unreadable": bad}}
