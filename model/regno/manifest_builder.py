"""The manifest of a model file: built after training, or derived from the file alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from model.errors import ModelRefused
from model.redaction import is_whole_plate
from model.regno import golden
from model.regno.columns.sample import read
from model.regno.doubts.finder import usual_lengths
from model.regno.drift.counter import Variable
from model.regno.model_file.calibration import Calibration
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import USUAL_LENGTHS, Feature, Manifest, libraries
from model.regno.model_file.vocabulary import PROBED, known
from model.regno.request import Reading
from model.regno.scorer import CONTEXTS, RegnoScorer


class Provenance(NamedTuple):
    """What a model file does not hold: how the model was made and how good it is.

    The fields are those of `Manifest`.
    """

    vocabularies: Mapping[str, list[str]]
    training: Mapping[str, Any] = {}
    metrics: Mapping[str, Any] = {}
    reference: Sequence[Variable] = ()
    plate_lengths: int = USUAL_LENGTHS
    calibration: Calibration | None = None


def build(
    model: BinaryModel,
    file: str,
    version: str,
    provenance: Provenance,
    readings: Sequence[Reading] | None = None,
) -> Manifest:
    """The manifest of a model; `readings` are the golden ones unless given."""
    readings = golden.readings() if readings is None else readings
    manifest = Manifest(
        name=RegnoScorer.name,
        version=version,
        file=file,
        sha256=model.sha256,
        features=[Feature(name, kind) for name, kind in model.features],
        vocabularies=dict(provenance.vocabularies),
        golden=[],
        training=dict(provenance.training),
        libraries=libraries(),
        metrics=dict(provenance.metrics),
        reference=list(provenance.reference),
        borders=model.borders(),
        classes=list(model.classes.names),
        positive_class=model.classes.positive,
        plate_lengths=provenance.plate_lengths,
        calibration=provenance.calibration,
    )
    scorer = RegnoScorer(model, manifest)
    manifest.golden = [score.positive for score in scorer.score(readings)]
    manifest.unexplained = scorer.try_explaining()
    return manifest


def complete(scorer: RegnoScorer, path: Path, sample: Path | None = None) -> Manifest:
    """The manifest of a scorer that was loaded from a file, derived from the file if it has none.

    `sample` is a CSV file of readings that the model was trained on or served with: its categories
    become the vocabularies. Raises ModelRefused.
    """
    if scorer.manifest is None:
        model = BinaryModel.load(path, scorer.positive_class)
        contexts = scorer.rows(golden.readings()[:CONTEXTS])
        provenance = _of_sample(sample, model, contexts) if sample else Provenance({})
        return build(model, path.name, scorer.version, provenance)
    if sample:
        raise ModelRefused("it has a manifest, whose vocabularies a sample would contradict")
    return msgspec.structs.replace(
        scorer.manifest,
        # Older manifests may lack these.
        classes=list(scorer.classes),
        positive_class=scorer.positive_class,
        unexplained=scorer.try_explaining(),
    )


def _of_sample(sample: Path, model: BinaryModel, contexts: Sequence[Any]) -> Provenance:
    """What a sample shows of a model's readings: vocabularies and plate lengths.

    Computed categories (months, templates) are left out: a sample has only some of their values,
    and a missing one does not mean that the model never saw it.
    """
    seen: dict[str, set[str]] = {name: set() for name in PROBED}
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
    categorical = [n for n, kind in model.features if kind == "categorical" and n in seen]
    return Provenance(
        vocabularies=known(model, contexts, {name: seen[name] for name in categorical}),
        training={"vocabularies": {"rows": rows, "unreadable": bad}},
        plate_lengths=usual_lengths(np.array(sizes)),
    )
