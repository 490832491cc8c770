"""A model trained on own rows: split, trained, measured, written with its manifest and report."""

import time
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from catboost import CatBoostClassifier, CatBoostError

from model import manifests
from model.errors import DataRefused, ModelRefused
from model.regno.columns.table import as_declared
from model.regno.dataset.duplicates import duplicates
from model.regno.dataset.rows import LabelledRows
from model.regno.dataset.split import Split, by_time
from model.regno.drift.reference import reference
from model.regno.evaluation import (
    charts,
    comparison,
    decisions,
    importance,
    metrics,
    plot,
    quality,
    render,
    report,
)
from model.regno.evaluation.comparison import Comparison
from model.regno.evaluation.importance import ShapValues
from model.regno.evaluation.quality import Scored
from model.regno.evaluation.report import Report
from model.regno.features import CATEGORICAL
from model.regno.manifest_builder import Provenance, build
from model.regno.model_file import vocabulary
from model.regno.model_file.calibration import Calibration
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.review.decision import Thresholds
from model.regno.scorer import RegnoScorer
from model.regno.training import calibrators, folds, learning_curve
from model.regno.training.commit import commit
from model.regno.training.learner import Learner
from model.regno.training.measuring import Job, Measured, measure, trees_of

Array: TypeAlias = np.ndarray[Any, Any]

MODEL: Final = "regno.cbm"
REPORT: Final = "report.json"
REPORT_TEXT: Final = "REPORT.md"
REPORT_PAGE: Final = "report.html"


def make(rows: LabelledRows, job: Job, folder: Path) -> Report:
    """Train on labelled rows and write the model, its manifest and its report into a folder.

    The same rows and job give the same predictions, on the same kind of machine. The model
    that is measured is the file that was written, unless the job asks for another fit on all rows.
    Raises DataRefused, and OSError.
    """
    split = by_time(rows, job.learner.parameters.split)
    learning_curve.check(job.learning_curve, len(split.train.labels))
    if job.study:
        job = _tuned(split, job, job.study)
    measured = _measured(split, job, folder / MODEL)
    kept, calibration = measured.model, measured.calibration
    if job.refit:
        kept = _refitted(split, job.learner, measured.trees.kept, folder / MODEL)
        calibration = _calibration_of_refit(split, job, measured)
    shap = importance.shap_values(
        measured.model, job.learner.table(split.held_out), job.learner.seed
    )
    ranked = importance.importances(measured.model, shap)
    made = msgspec.structs.replace(
        _report(measured, kept, split, job),
        importances=ranked,
        folds=folds.measured(rows, job, measured),
        learning_curve=learning_curve.measured(split, job, measured),
        seconds=round(time.monotonic() - job.started, 1),
    )
    provenance = _provenance(kept, measured, split, made)._replace(calibration=calibration)
    described = build(kept, MODEL, made.version, provenance)
    manifests.write(described, folder / manifests.FILE_NAME)
    _write_report(made, shap, folder)
    return made


def _write_report(made: Report, shap: ShapValues, folder: Path) -> None:
    """Write the report as JSON, as Markdown with its pictures, and as a page."""
    encoded = msgspec.json.format(msgspec.json.encode(made), indent=2)
    (folder / REPORT).write_bytes(encoded + b"\n")
    (folder / plot.FILE_NAME).write_bytes(plot.reliability(made.reliability))
    shown = [each.feature for each in made.importances[: importance.SHOWN]]
    (folder / importance.FILE_NAME).write_bytes(importance.beeswarm(shap, shown))
    if made.learning_curve:
        (folder / plot.LEARNING_CURVE).write_bytes(plot.learning_curve(made.learning_curve.points))
    (folder / REPORT_TEXT).write_text(render.report(made), encoding="utf-8")
    page = render.training(made, charts.of_training(made, shap))
    (folder / REPORT_PAGE).write_text(page, encoding="utf-8")


def _tuned(split: Split, job: Job, study: Path) -> Job:
    """The job with the parameters that a search finds."""
    from model.regno.training import search  # noqa: PLC0415 - Optuna, which only this needs

    catboost, how = search.search(split, job.learner, job.trials, study, job.source.sha256)
    parameters = msgspec.structs.replace(job.learner.parameters, catboost=catboost)
    return job._replace(learner=job.learner._replace(parameters=parameters), search=how)


def _measured(split: Split, job: Job, path: Path) -> Measured:
    fitted = job.learner.fit_until_best(split.train, split.validation)
    return measure(_saved(fitted, path), trees_of(fitted, job.learner), split, job)


def _calibration_of_refit(split: Split, job: Job, measured: Measured) -> Calibration | None:
    """By all rows that the measured model did not learn from: the final one learnt from all."""
    if not job.calibrate:
        return None
    labels = np.concatenate((split.validation.labels, split.held_out.labels))
    probabilities = np.concatenate((measured.validation, measured.uncalibrated))
    return calibrators.fit(job.calibrate, labels, probabilities)


def _refitted(split: Split, learner: Learner, trees: int, path: Path) -> BinaryModel:
    """The model of all rows with as many trees as the measured one."""
    return _saved(learner.fit_trees(split.joined(), trees), path)


def _saved(fitted: CatBoostClassifier, path: Path) -> BinaryModel:
    """The model of the file that it writes."""
    try:
        fitted.save_model(str(path))
    except CatBoostError as error:
        raise OSError(f"CatBoost can't write the model: {error}") from error
    return _loaded(path)


def _loaded(path: Path) -> BinaryModel:
    try:
        return BinaryModel.load(path)
    except ModelRefused as reason:
        raise DataRefused(f"the trained model can't be served: {reason}") from reason


def _report(measured: Measured, kept: BinaryModel, split: Split, job: Job) -> Report:
    """The report without what is worked out apart."""
    positives, trees = measured.positives, measured.trees
    held_out = split.held_out
    others = _scores_of(job.against, held_out) if job.against else None
    measures = metrics.measures(held_out.labels, positives)
    uncalibrated = metrics.measures(held_out.labels, measured.uncalibrated)
    baselines = metrics.baselines(held_out.labels, _network_scores(held_out))
    unseen, empty = report.unseen(split), report.empty(split)
    apart = report.years_apart(split)
    decided = decisions.report(held_out.labels, positives, Thresholds(job.costs), job.costs)
    repeats = duplicates(split.joined())
    warnings = [
        *report.doubtful(job.source, apart),
        *report.of_duplicates(repeats, job.source.rows),
        *report.of_empty(empty, job.source.rows),
        *report.warnings(trees, measures, baselines["score_itself"], unseen, len(positives)),
        *report.of_calibration(job.calibrate, measures, uncalibrated),
        *quality.few_rows(held_out.labels, {}),
        *_head_start(job.against, held_out),
    ]
    return Report(
        version=f"regno-{kept.sha256[:12]}",
        sha256=kept.sha256,
        data=job.source,
        parts={name: report.part(part) for name, part in split._asdict().items()},
        seed=job.learner.seed,
        parameters=msgspec.to_builtins(job.learner.parameters),
        trees=trees,
        importances=[],
        folds=[],
        learning_curve=None,
        search=job.search,
        refit=job.refit,
        commit=commit(),
        seconds=0.0,
        model=measures,
        intervals=quality.intervals(Scored(held_out.labels, positives), job.learner.seed),
        calibration=job.calibrate,
        uncalibrated=uncalibrated,
        baselines=baselines,
        reliability=[b._asdict() for b in metrics.reliability(held_out.labels, positives)],
        by_camera_class=report.slices(held_out, positives, others),
        unseen=unseen,
        empty=empty,
        known_pairs=report.known_pairs(split),
        years_apart=apart,
        **repeats._asdict(),
        against=_against(job, held_out.labels, positives, others),
        warnings=warnings,
        **msgspec.structs.asdict(decided),
    )


def _scores_of(other: RegnoScorer, rows: LabelledRows) -> Array:
    return other.predict_table(as_declared(rows.table, other.table.features))[:, 1]


def _against(job: Job, labels: Array, new: Array, other: Array | None) -> Comparison | None:
    if job.against is None or other is None:
        return None
    named = (job.against.version, job.against.sha256)
    return comparison.compare(labels, new, other, named, job.learner.seed)


def _head_start(other: RegnoScorer | None, held_out: LabelledRows) -> list[str]:
    """A warning if the other model's manifest shows that it learnt from rows as late as these."""
    last = comparison.learnt_until(other, report.part(held_out).first) if other else ""
    if not last:
        return []
    return [f"the other model learnt from rows up to {last}: held-out ones may be among them"]


def _network_scores(rows: LabelledRows) -> Array:
    return np.asarray(rows.table["afts_regno_ai_score"].to_numpy())


def _provenance(kept: BinaryModel, measured: Measured, split: Split, made: Report) -> Provenance:
    held_out, positives = split.held_out, measured.positives
    learnt_from = split.joined().table if made.refit else split.train.table
    names = [name for name, _ in kept.features]
    rows = list(held_out.table[names].itertuples(index=False, name=None))
    classes = report.camera_classes(held_out)
    return Provenance(
        vocabularies={
            name: vocabulary.names(learnt_from[name]) for name in CATEGORICAL if name in names
        },
        training={
            "data": msgspec.to_builtins(made.data),
            "parts": msgspec.to_builtins(made.parts),
            # Of the rows that influenced the model.
            "last": made.parts["held_out" if made.refit else "validation"].last,
            "seed": made.seed,
            "parameters": made.parameters,
            "trees": made.trees.kept,
            "refit": made.refit,
            "calibration": made.calibration,
            "commit": made.commit,
            "seconds": made.seconds,
        },
        metrics={
            **metrics.summary(held_out.labels, positives, _network_scores(held_out), classes),
            # A registry keeps the manifest only, and these matter to a promotion.
            "against": msgspec.to_builtins(made.against),
            "warnings": made.warnings,
        },
        reference=reference(names, rows, positives.tolist(), kept.importances()),
        plate_lengths=made.data.plate_lengths,
    )
