"""A model trained on own rows: split, trained, measured, written with its manifest and report."""

from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
from catboost import CatBoostClassifier, CatBoostError

from model.cli import SignalFlag
from model.errors import DataRefused, ModelRefused
from model.regno import golden
from model.regno.columns.table import as_declared
from model.regno.drift.reference import reference
from model.regno.evaluation import evaluate, plot, report, report_text
from model.regno.evaluation.report import Comparison, Report, Source, Trees
from model.regno.features import CATEGORICAL, NAMES, TEXT, all_features
from model.regno.model_file import manifest, vocabulary
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import Manifest
from model.regno.scorer import RegnoScorer
from model.regno.training import training
from model.regno.training.labelled import Labelled
from model.regno.training.parameters import Parameters
from model.regno.training.split import Split, by_time

Array: TypeAlias = np.ndarray[Any, Any]

MODEL: Final = "regno.cbm"
REPORT: Final = "report.json"
REPORT_TEXT: Final = "REPORT.md"


class Job(NamedTuple):
    """How to train, what the rows came from, and the model to compare with, if any.

    `stopped` is looked at after each tree.
    """

    parameters: Parameters
    seed: int
    source: Source
    against: RegnoScorer | None = None
    progress: bool = True
    stopped: SignalFlag | None = None


def make(rows: Labelled, job: Job, folder: Path) -> Report:
    """Train on labelled rows and write the model, its manifest and its report into a folder.

    The same rows and job give the same predictions, on the same kind of machine. The model
    that is measured is the file that was written. Raises DataRefused, and OSError.
    """
    split = by_time(rows, job.parameters.split)
    trees = _train(split, job, folder / MODEL)
    model = _loaded(folder / MODEL)
    found = _measure(model, split, trees, job)
    manifest.write(_papers(model, split, found), folder / manifest.FILE_NAME)
    encoded = msgspec.json.format(msgspec.json.encode(found), indent=2)
    (folder / REPORT).write_bytes(encoded + b"\n")
    (folder / plot.FILE_NAME).write_bytes(plot.reliability(found.reliability))
    (folder / REPORT_TEXT).write_text(report_text.text(found), encoding="utf-8")
    return found


def _loaded(path: Path) -> BinaryModel:
    try:
        return BinaryModel.load(path)
    except ModelRefused as reason:
        raise DataRefused(f"the model that comes of it can't be served: {reason}") from reason


def _check_texts(train: Labelled) -> None:
    """CatBoost makes nothing of a text that is always empty, and says so of its own insides."""
    for name in TEXT:
        if not train.table[name].any():
            raise DataRefused(f"{name.removesuffix('_text')} is empty in all training rows")


def _train(split: Split, job: Job, path: Path) -> Trees:
    _check_texts(split.train)
    options = msgspec.structs.asdict(job.parameters.catboost)
    options |= {"thread_count": options.pop("threads"), "random_seed": job.seed}
    options |= {"text_processing": training.TEXT_PROCESSING, "use_best_model": True}
    learn, validation = (training.pool(p.table, p.labels) for p in (split.train, split.validation))
    try:
        model = training.fit(learn, options, validation, progress=job.progress, stopped=job.stopped)
    except CatBoostError as error:
        raise DataRefused(f"CatBoost can't train on it: {error}") from error
    try:
        model.save_model(str(path))
    except CatBoostError as error:
        raise OSError(f"CatBoost can't write the model: {error}") from error
    return _trees(model, options)


def _trees(model: CatBoostClassifier, options: dict[str, Any]) -> Trees:
    last = model.get_best_iteration() + options["early_stopping_rounds"]
    return Trees(options["iterations"], model.tree_count_, last < options["iterations"])


def _measure(model: BinaryModel, split: Split, trees: Trees, job: Job) -> Report:
    held_out = split.held_out
    positives = model.probabilities_of_table(held_out.table)[:, 1]
    others = _scores_of(job.against, held_out) if job.against else None
    scores = held_out.table["afts_regno_ai_score"].to_numpy()
    contenders = evaluate.compare(held_out.labels, positives, scores)
    unseen, empty = report.unseen(split), report.empty(split)
    apart = report.years_apart(split)
    warnings = [
        *report.doubtful(job.source, apart),
        *report.of_empty(empty, job.source.rows),
        *report.warnings(trees, contenders, unseen, len(positives)),
        *_head_start(job.against, held_out),
    ]
    return Report(
        version=f"regno-{model.sha256[:12]}",
        sha256=model.sha256,
        data=job.source,
        parts={name: report.part(part) for name, part in split._asdict().items()},
        seed=job.seed,
        parameters=msgspec.to_builtins(job.parameters),
        trees=trees,
        contenders=contenders,
        reliability=[b._asdict() for b in evaluate.reliability(held_out.labels, positives)],
        by_camera_class=report.slices(held_out, positives, others),
        unseen=unseen,
        empty=empty,
        known_pairs=report.known_pairs(split),
        years_apart=apart,
        against=_against(job, held_out.labels, positives, others),
        warnings=warnings,
    )


def _scores_of(other: RegnoScorer, rows: Labelled) -> Array:
    return other.predict_table(as_declared(rows.table, other.table.features))[:, 1]


def _against(job: Job, labels: Array, new: Array, other: Array | None) -> Comparison | None:
    if job.against is None or other is None:
        return None
    named = (job.against.version, job.against.sha256)
    return report.compare(labels, new, other, named, job.seed)


def _head_start(other: RegnoScorer | None, held_out: Labelled) -> list[str]:
    """A warning when the other model's papers tell that it learnt from such late rows."""
    papers = other.manifest.training if other and other.manifest else {}
    last = papers.get("last", "")
    if not last or last < report.part(held_out).first:
        return []
    return [f"the other model learnt from rows up to {last}: held-out ones may be among them"]


def _papers(model: BinaryModel, split: Split, found: Report) -> Manifest:
    held_out, table = split.held_out, split.train.table
    positives = model.probabilities_of_table(held_out.table)[:, 1]
    scores = held_out.table["afts_regno_ai_score"].to_numpy()
    rows = list(held_out.table.itertuples(index=False, name=None))
    return Manifest(
        name="regno",
        version=found.version,
        file=MODEL,
        sha256=model.sha256,
        features=[manifest.Feature(name, kind) for name, kind in model.features],
        vocabularies={name: vocabulary.names(table[name]) for name in CATEGORICAL},
        golden=[p for _, p in model.probabilities(list(map(all_features, golden.readings())))],
        training={
            "data": msgspec.to_builtins(found.data),
            "parts": msgspec.to_builtins(found.parts),
            # Of the rows that had a say in the model.
            "last": found.parts["validation"].last,
            "seed": found.seed,
            "parameters": found.parameters,
            "trees": found.trees.kept,
        },
        libraries=manifest.libraries(),
        metrics={
            **evaluate.summary(held_out.labels, positives, scores, report.camera_classes(held_out)),
            # A registry keeps the manifest only, and whoever promotes should know of these.
            "against": msgspec.to_builtins(found.against),
            "warnings": found.warnings,
        },
        reference=reference(NAMES, rows, positives.tolist(), model.importances()),
        borders=model.borders(),
        classes=list(model.classes.names),
        positive_class=model.classes.positive,
        unexplained=RegnoScorer(model).try_explaining(),
        plate_lengths=found.data.plate_lengths,
    )
