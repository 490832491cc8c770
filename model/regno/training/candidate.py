"""A model trained on own rows: split, trained, measured, written with its manifest and report."""

from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
from catboost import CatBoostClassifier, CatBoostError

from model.cli import SignalFlag
from model.errors import DataRefused, ModelRefused
from model.regno.columns.table import as_declared
from model.regno.dataset.rows import LabelledRows
from model.regno.dataset.split import Split, by_time
from model.regno.drift.reference import reference
from model.regno.evaluation import comparison, metrics, plot, render, report
from model.regno.evaluation.comparison import Comparison
from model.regno.evaluation.report import Report, Source, Trees
from model.regno.features import CATEGORICAL, NAMES, TEXT
from model.regno.manifest_builder import Provenance, build
from model.regno.model_file import manifest, vocabulary
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.scorer import RegnoScorer
from model.regno.training import fit
from model.regno.training.parameters import Parameters

Array: TypeAlias = np.ndarray[Any, Any]

MODEL: Final = "regno.cbm"
REPORT: Final = "report.json"
REPORT_TEXT: Final = "REPORT.md"


class Job(NamedTuple):
    """How to train, what the rows came from, and the model to compare with, if any.

    `signals` is checked after each tree.
    """

    parameters: Parameters
    seed: int
    source: Source
    against: RegnoScorer | None = None
    progress: bool = True
    signals: SignalFlag | None = None


def make(rows: LabelledRows, job: Job, folder: Path) -> Report:
    """Train on labelled rows and write the model, its manifest and its report into a folder.

    The same rows and job give the same predictions, on the same kind of machine. The model
    that is measured is the file that was written. Raises DataRefused, and OSError.
    """
    split = by_time(rows, job.parameters.split)
    trees = _train(split, job, folder / MODEL)
    model = _loaded(folder / MODEL)
    positives = model.probabilities_of_table(split.held_out.table)[:, 1]
    made = _measure(model, positives, split, trees, job)
    described = build(model, MODEL, made.version, _provenance(model, positives, split, made))
    manifest.write(described, folder / manifest.FILE_NAME)
    encoded = msgspec.json.format(msgspec.json.encode(made), indent=2)
    (folder / REPORT).write_bytes(encoded + b"\n")
    (folder / plot.FILE_NAME).write_bytes(plot.reliability(made.reliability))
    (folder / REPORT_TEXT).write_text(render.report(made), encoding="utf-8")
    return made


def _loaded(path: Path) -> BinaryModel:
    try:
        return BinaryModel.load(path)
    except ModelRefused as reason:
        raise DataRefused(f"the trained model can't be served: {reason}") from reason


def _check_texts(train: LabelledRows) -> None:
    """CatBoost fails on a text that is always empty, with a message about its internals."""
    for name in TEXT:
        if not train.table[name].any():
            raise DataRefused(f"{name.removesuffix('_text')} is empty in all training rows")


def _train(split: Split, job: Job, path: Path) -> Trees:
    _check_texts(split.train)
    options = msgspec.structs.asdict(job.parameters.catboost)
    options |= {"thread_count": options.pop("threads"), "random_seed": job.seed}
    options |= {"text_processing": fit.TEXT_PROCESSING, "use_best_model": True}
    learn, validation = (fit.pool(p.table, p.labels) for p in (split.train, split.validation))
    try:
        model = fit.fit(learn, options, validation, progress=job.progress, signals=job.signals)
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


def _measure(model: BinaryModel, positives: Array, split: Split, trees: Trees, job: Job) -> Report:
    held_out = split.held_out
    others = _scores_of(job.against, held_out) if job.against else None
    measures = metrics.measures(held_out.labels, positives)
    baselines = metrics.baselines(held_out.labels, _network_scores(held_out))
    unseen, empty = report.unseen(split), report.empty(split)
    apart = report.years_apart(split)
    warnings = [
        *report.doubtful(job.source, apart),
        *report.of_empty(empty, job.source.rows),
        *report.warnings(trees, measures, baselines["score_itself"], unseen, len(positives)),
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
        model=measures,
        baselines=baselines,
        reliability=[b._asdict() for b in metrics.reliability(held_out.labels, positives)],
        by_camera_class=report.slices(held_out, positives, others),
        unseen=unseen,
        empty=empty,
        known_pairs=report.known_pairs(split),
        years_apart=apart,
        against=_against(job, held_out.labels, positives, others),
        warnings=warnings,
    )


def _scores_of(other: RegnoScorer, rows: LabelledRows) -> Array:
    return other.predict_table(as_declared(rows.table, other.table.features))[:, 1]


def _against(job: Job, labels: Array, new: Array, other: Array | None) -> Comparison | None:
    if job.against is None or other is None:
        return None
    named = (job.against.version, job.against.sha256)
    return comparison.compare(labels, new, other, named, job.seed)


def _head_start(other: RegnoScorer | None, held_out: LabelledRows) -> list[str]:
    """A warning if the other model's manifest shows that it learnt from rows as late as these."""
    training = other.manifest.training if other and other.manifest else {}
    last = training.get("last", "")
    if not last or last < report.part(held_out).first:
        return []
    return [f"the other model learnt from rows up to {last}: held-out ones may be among them"]


def _network_scores(rows: LabelledRows) -> Array:
    return np.asarray(rows.table["afts_regno_ai_score"].to_numpy())


def _provenance(model: BinaryModel, positives: Array, split: Split, made: Report) -> Provenance:
    held_out, train = split.held_out, split.train.table
    rows = list(held_out.table.itertuples(index=False, name=None))
    classes = report.camera_classes(held_out)
    return Provenance(
        vocabularies={name: vocabulary.names(train[name]) for name in CATEGORICAL},
        training={
            "data": msgspec.to_builtins(made.data),
            "parts": msgspec.to_builtins(made.parts),
            # Of the rows that influenced the model.
            "last": made.parts["validation"].last,
            "seed": made.seed,
            "parameters": made.parameters,
            "trees": made.trees.kept,
        },
        metrics={
            **metrics.summary(held_out.labels, positives, _network_scores(held_out), classes),
            # A registry keeps the manifest only, and these matter to a promotion.
            "against": msgspec.to_builtins(made.against),
            "warnings": made.warnings,
        },
        reference=reference(NAMES, rows, positives.tolist(), model.importances()),
        plate_lengths=made.data.plate_lengths,
    )
