"""The manifest of a model file: built after training, or derived from the file alone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeGuard

import msgspec
import numpy as np

from model.drift.counter import Variable
from model.errors import ModelRefused
from model.redaction import is_whole_plate
from model.regno import golden
from model.regno.columns.sample import read
from model.regno.doubts.finder import usual_lengths
from model.regno.drift.reference import reference
from model.regno.model_file.calibration import Calibration
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import USUAL_LENGTHS, Feature, Manifest, libraries
from model.regno.model_file.vocabulary import PROBED, known
from model.regno.request import Reading
from model.regno.scorer import CONTEXTS, RegnoScorer

# Of more rows, a drift reference is made of a random sample of this size: its shares are then
# exact to some 0.2 %, and the memory is bounded.
REFERENCE_ROWS: Final = 50_000


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


def with_reference(described: Manifest, scorer: RegnoScorer, path: Path) -> Manifest:
    """The manifest with the drift reference of the readings in a file, and how many there were.

    Variables are weighted by the model's importances, as after a training. Raises ModelRefused
    when no row is a reading.
    """
    chosen, rows, bad = _readings(path)
    features = scorer.rows(chosen)
    positives = [score.positive for score in scorer.predict(features)]
    variables = reference(scorer.feature_names, features, positives, scorer.importances())
    counts = {"rows": rows, "unreadable": bad}
    return msgspec.structs.replace(
        described, reference=variables, training={**described.training, "reference": counts}
    )


def _readings(path: Path) -> tuple[list[Reading], int, int]:
    """At most `REFERENCE_ROWS` readings of a file, and how many rows it has and how many are bad.

    Each reading has the same chance, and the same file gives the same ones: Vitter, Random sampling
    with a reservoir (1985), algorithm R.
    """
    chosen: list[Reading] = []
    rows = good = 0
    random = np.random.default_rng(0)
    for reading in read(path):
        rows += 1
        if not _is_usable(reading, PROBED):
            continue
        good += 1
        if good <= REFERENCE_ROWS:
            chosen.append(reading)
        elif (place := int(random.integers(good))) < REFERENCE_ROWS:
            chosen[place] = reading
    if not good:
        raise ModelRefused(f"none of the {rows} rows of {path} is a reading")
    return chosen, rows, rows - good


def _is_usable(reading: Reading | None, names: Iterable[str]) -> TypeGuard[Reading]:
    """Whether a row is a reading without a plate in a column of names, which metrics would show."""
    return reading is not None and not any(is_whole_plate(getattr(reading, n)) for n in names)


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
        if not _is_usable(reading, seen):
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
