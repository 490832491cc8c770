"""The report on a model trained on own rows: metrics of the held-out ones, and warnings.

It names no plate, and a camera class only if enough rows have it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from msgspec import Struct

from model.regno.dataset.duplicates import Duplicates
from model.regno.dataset.late_labels import Joined
from model.regno.dataset.rows import LabelledRows
from model.regno.dataset.split import Split
from model.regno.doubts.finder import AGREE, IMPLAUSIBLE, LOOKALIKE, MISMATCH, OUT_OF_RANGE, parts
from model.regno.evaluation import metrics
from model.regno.evaluation.bootstrap import Difference, Interval
from model.regno.evaluation.comparison import Comparison
from model.regno.evaluation.decisions import DecisionReport
from model.regno.evaluation.importance import Importance
from model.regno.evaluation.parity import flips
from model.regno.features import CALENDAR, CATEGORICAL, TEXT
from model.regno.model_file.manifest import USUAL_LENGTHS

Array: TypeAlias = np.ndarray[Any, Any]

# The features that hold a text as it came, and the fields that it came in.
_TEXT_FIELDS: Final = {
    "camera_type": "camera_type",
    "camera_class": "camera_class",
    **{name: name.removesuffix("_text") for name in TEXT},
}

# Rarer camera classes are reported together: their metrics would be noise, and a value in so few
# rows may be anything.
LEAST_CLASS: Final = 30
OTHERS: Final = f"(classes of fewer than {LEAST_CLASS} rows)"
# The metrics by which the last doubling of a learning curve is judged.
DOUBLING: Final = ("auc", "log_loss")
_YEAR: Final = np.timedelta64(366, "D")
_DOUBTFUL: Final = {
    LOOKALIKE: "Latin letters where Cyrillic ones are meant",
    OUT_OF_RANGE: "a confidence below 0 or above 1: decimal commas, or per cent",
    MISMATCH: "another number of confidences than belongs to the reading",
    IMPLAUSIBLE: "a time before 1990 or after tomorrow",
    AGREE: "two readings of one plate: there is nothing to decide",
}


class Source(Struct, frozen=True):
    """The file of rows: its name without folders, and how many rows were left out and why.

    `warnings` are the rows that are left by warning, `plate_lengths` is as in a manifest, `weights`
    is the column of weights in training, "" if there is none.
    """

    file: str
    sha256: str
    label: str
    rows: int
    left_out: dict[str, int]
    warnings: dict[str, int] = {}
    plate_lengths: int = USUAL_LENGTHS
    weights: str = ""


class Part(Struct, frozen=True):
    """One part of the rows by time."""

    rows: int
    positive_share: float
    first: str
    last: str


class Trees(Struct, frozen=True):
    """How training ended: trees at most, trees kept, and whether the validation rows stopped it."""

    most: int
    kept: int
    stopped_early: bool


class Fold(Struct, frozen=True):
    """One window of held-out rows, and the metrics of a model of the rows before it."""

    trained_on: int
    rows: int
    first: str
    last: str
    trees: int
    metrics: dict[str, float]


class LearningPoint(Struct, frozen=True):
    """A model of so many training rows, and its metrics with 95 % intervals."""

    rows: int
    trees: int
    metrics: dict[str, Interval]


class LearningCurve(Struct, frozen=True):
    """Models of ever more training rows, measured on the same rows; the last is of all.

    `doubling` is the difference of the last to the one before it, with a paired bootstrap.
    """

    points: list[LearningPoint]
    doubling: dict[str, Difference]

    @property
    def rising(self) -> bool:
        """Whether the last doubling of the rows made the model better, and in nothing worse."""
        verdicts = {self.doubling[name].verdict for name in DOUBLING}
        return "better" in verdicts and "worse" not in verdicts


class Trial(Struct, frozen=True):
    """One training of a search: its parameters, and the validation rows' log loss.

    `log_loss` is None if the trial was pruned: stopped as it was worse than others.
    """

    log_loss: float | None
    parameters: dict[str, float]


class Search(Struct, frozen=True):
    """How parameters were found: trials on so many rows, with so many trees at most.

    `pruned` trials were stopped as they were worse than others. `usual` is the validation rows' log
    loss with the parameters as they were, `best` that with the `chosen` ones. `history` are all
    trials in their order.
    """

    trials: int
    pruned: int
    rows: int
    trees: int
    usual: float
    best: float
    chosen: dict[str, float]
    history: list[Trial]


class Slice(Struct, frozen=True):
    """One camera class: `believed` is the share of rows with the network above one half.

    `flips` are the rows in which the other model decides differently.
    """

    rows: int
    positive_share: float
    auc: float
    calibration_error: float
    believed: float
    flips: int | None


class Report(DecisionReport, frozen=True):
    """The whole report.

    `model` and `baselines` are metrics of the held-out rows, `intervals` those of the model with
    the bounds of a bootstrap; `unseen` counts held-out rows whose category no training row has, by
    feature, without the calendar's; `empty` rows of all parts with an empty text, by field;
    `known_pairs` held-out rows whose two readings also occur together in training; `years_apart`
    rows whose time is more than a year from all times of most rows.
    `repeated` rows repeat an earlier row in all features, time and label; `contradicting` ones have
    the features and time of a row with the other label.
    `calibration` is how the probabilities are calibrated, None if they are not, and `uncalibrated`
    the metrics of the probabilities before.
    `importances` are of all features, the one that matters most first.
    `folds` are the windows of a cross-validation from old to new, none without one;
    `learning_curve` are models of parts of the training rows, None without one; `search` is how
    the parameters were found, None if they were given.
    `refit`: the model was trained again on all rows after measuring. `commit` is that of the code,
    "" if it is not known, and `seconds` what the run took.
    """

    version: str
    sha256: str
    data: Source
    parts: dict[str, Part]
    seed: int
    parameters: dict[str, Any]
    trees: Trees
    importances: list[Importance]
    folds: list[Fold]
    learning_curve: LearningCurve | None
    search: Search | None
    refit: bool
    commit: str
    seconds: float
    model: dict[str, float]
    intervals: dict[str, Interval]
    calibration: str | None
    uncalibrated: dict[str, float]
    baselines: dict[str, dict[str, float]]
    reliability: list[dict[str, float]]
    by_camera_class: dict[str, Slice]
    unseen: dict[str, int]
    empty: dict[str, int]
    known_pairs: int
    years_apart: int
    repeated: int
    contradicting: int
    against: Comparison | None
    warnings: list[str]


def part(rows: LabelledRows) -> Part:
    """The figures of one part, whose rows are in the order of time."""
    first, last = (str(time).replace("T", " ") for time in (rows.times[0], rows.times[-1]))
    return Part(len(rows.labels), float(rows.labels.mean()), first, last)


def camera_classes(rows: LabelledRows) -> Array:
    """The camera class of each row, `OTHERS` for rare ones, shape (rows,)."""
    classes = np.asarray(rows.table["camera_class"], dtype=object)
    counts = Counter(classes.tolist())
    return np.array([name if counts[name] >= LEAST_CLASS else OTHERS for name in classes.tolist()])


def slices(rows: LabelledRows, new: Array, other: Array | None) -> dict[str, Slice]:
    """The camera classes by name; `new` and `other` are the probabilities of two models."""
    classes = camera_classes(rows)
    return {
        str(name): _slice(rows.labels[at], new[at], None if other is None else other[at])
        for name in np.unique(classes)
        for at in [classes == name]
    }


def _slice(labels: Array, new: Array, other: Array | None) -> Slice:
    return Slice(
        rows=labels.size,
        positive_share=float(labels.mean()),
        auc=metrics.auc(labels, new),
        calibration_error=metrics.calibration_error(labels, new),
        believed=float((new > 0.5).mean()),
        flips=None if other is None else int(flips(new, other).sum()),
    )


def spread(folds: Sequence[Fold]) -> dict[str, tuple[float, float]]:
    """The mean and the standard deviation of each metric over the windows."""
    return {
        name: (float(values.mean()), float(values.std(ddof=1)))
        for name in folds[0].metrics
        for values in [np.array([fold.metrics[name] for fold in folds])]
    }


def unseen(split: Split) -> dict[str, int]:
    """For each categorical feature how many held-out rows have a value new to training."""
    counts = {}
    for name in (name for name in CATEGORICAL if name not in CALENDAR):
        known = set(split.train.table[name])
        counts[name] = int((~split.held_out.table[name].isin(known)).sum())
    return {name: count for name, count in counts.items() if count}


def empty(split: Split) -> dict[str, int]:
    """For each field of text how many rows of all parts have none."""
    table = pd.concat([part.table[list(_TEXT_FIELDS)] for part in split], ignore_index=True)
    counts = {
        field: int((table[feature].str.strip() == "").sum())
        for feature, field in _TEXT_FIELDS.items()
    }
    return {field: count for field, count in counts.items() if count}


def of_empty(counts: Mapping[str, int], rows: int) -> list[str]:
    """Warnings about empty texts."""
    lines = []
    for field, count in counts.items():
        but = ", but an empty value is not among those it knows" if field in CATEGORICAL else ""
        lines.append(f"{field}: {count} of {rows} rows are empty; the model learns from them{but}")
    return lines


def years_apart(split: Split) -> int:
    """How many rows are more than a year apart from most: placeholders for times, wrong clocks."""
    times = np.sort(np.concatenate([part.times for part in split]))
    begins = np.flatnonzero(np.diff(times) > _YEAR) + 1
    return len(times) - max(map(len, np.split(times, begins)))


def known_pairs(split: Split) -> int:
    """How many held-out rows have two readings that some training row has, too."""
    known = pd.MultiIndex.from_frame(split.train.table[list(TEXT)])
    return int(pd.MultiIndex.from_frame(split.held_out.table[list(TEXT)]).isin(known).sum())


def warnings(
    trees: Trees,
    model: Mapping[str, float],
    score_itself: Mapping[str, float],
    unseen_rows: Mapping[str, int],
    held_out: int,
) -> list[str]:
    """What a person should know before promoting the model."""
    lines = [
        f"{name}: {count} of {held_out} held-out rows have a value that no training row has; "
        "their scores are guesses"
        for name, count in unseen_rows.items()
    ]
    if not trees.stopped_early:
        lines.append(f"training ended at its limit of {trees.most} trees; more may do better")
    if model["auc"] <= score_itself["auc"]:
        lines.append("the network's own score ranks the held-out rows as well as the model does")
    return lines


def of_calibration(
    method: str | None, calibrated: Mapping[str, float], before: Mapping[str, float]
) -> list[str]:
    """A warning if the calibration made the probabilities of the held-out rows worse."""
    after, was = calibrated["log_loss"], before["log_loss"]
    if not method or after <= was:
        return []
    line = (
        f"the {method} calibration made the log loss of the held-out rows worse, {after:.4f} "
        f"instead of {was:.4f}; train without --calibrate"
    )
    return [line]


def of_duplicates(counts: Duplicates, rows: int) -> list[str]:
    """Warnings about rows that occur more than once."""
    lines = []
    if counts.repeated:
        lines.append(
            f"{counts.repeated} of {rows} rows repeat an earlier row; metrics and intervals count "
            "them as independent"
        )
    if counts.contradicting:
        lines.append(
            f"{counts.contradicting} of {rows} rows have the features and the time of a row with "
            "the other label"
        )
    return lines


def of_join(joined: Joined | None) -> list[str]:
    """A warning if rows share labels of another file."""
    if joined is None or not joined.shared:
        return []
    line = (
        f"{joined.shared} labels serve several rows each: intervals count these rows as independent"
    )
    return [line]


def odd_values(source: Source) -> dict[str, int]:
    """How many rows have values to doubt, by field and doubt."""
    return {f"{of}{doubt}": count for of, doubt, count in _doubts(source)}


def doubtful(source: Source, apart: int) -> list[str]:
    """Warnings about the rows themselves; `apart` is how many are `years_apart`."""
    lines = [
        f"{of}{count} of {source.rows} rows have {doubt}" for of, doubt, count in _doubts(source)
    ]
    if apart:
        lines.append(
            f"time_check: {apart} of {source.rows} rows are more than a year apart from most; "
            "placeholders and wrong clocks spoil a split by time"
        )
    return lines


def _doubts(source: Source) -> Iterator[tuple[str, str, int]]:
    """For each field of each doubt: "FIELD: ", or "" for the whole row; what it is; the rows."""
    counts = {parts(warning): count for warning, count in source.warnings.items()}
    for doubt, text in _DOUBTFUL.items():
        for (kind, field), count in counts.items():
            if kind == doubt:
                yield f"{field}: " if field else "", text, count
