"""The manifest of a model file that came without one, as far as the file can tell."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from model.errors import ModelRefused
from model.redaction import is_whole_plate
from model.regno import golden
from model.regno.columns.sample import read
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import USUAL_LENGTHS, Feature, Manifest
from model.regno.model_file.vocabulary import ASKED, known
from model.regno.review.doubts import usual_lengths
from model.regno.scorer import CONTEXTS, RegnoScorer

NAME: Final = "regno"


class _Sample(NamedTuple):
    """The values of each category that clients send, and how many rows there were."""

    categories: dict[str, set[str]]
    plate_lengths: int
    training: dict[str, dict[str, int]]


_NO_SAMPLE: Final = _Sample({}, USUAL_LENGTHS, {})


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
    seen, plate_lengths, training = _of_sample(sample) if sample else _NO_SAMPLE
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
        plate_lengths=plate_lengths,
    )


def _of_sample(sample: Path) -> _Sample:
    """What a sample shows of the readings that a model gets.

    Of the categories computed here, months and templates among them, a sample has what it
    happens to have: that a model was not shown another is nobody's fault.
    """
    seen: dict[str, set[str]] = {name: set() for name in ASKED}
    sizes = []
    rows = bad = 0
    for reading in read(sample):
        rows += 1
        # A plate in a column of names would get into metrics.
        if reading is None or any(is_whole_plate(getattr(reading, name)) for name in seen):
            bad += 1
            continue
        for name, values in seen.items():
            values.add(getattr(reading, name))
        sizes.append(len(reading.afts_regno_ai_length_scores))
    if rows == bad:
        raise ModelRefused(f"none of the {rows} rows of {sample} is a reading")
    training = {"vocabularies": {"rows": rows, "unreadable": bad}}
    return _Sample(seen, usual_lengths(np.array(sizes)), training)
