"""The command `python -m model.evaluate`."""

import errno
import math
import os
import re
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from tqdm import tqdm

from model import manifests
from model.cli import Exit, SignalFlag, exit_status, os_errors_exit, stop_signals
from model.errors import DataRefused, ModelRefused
from model.redaction import is_whole_plate
from model.registry import RegistryError, Unavailable, check_model, open_registry
from model.regno.columns.table import as_declared
from model.regno.dataset.duplicates import duplicates
from model.regno.dataset.late_labels import LateLabels
from model.regno.dataset.rows import Choices, Contents, LabelledRows
from model.regno.evaluation import (
    certainty,
    charts,
    comparison,
    decisions,
    metrics,
    quality,
    render,
    report,
    risk_control,
    text,
)
from model.regno.evaluation.labelled_file import Reading, read_file
from model.regno.evaluation.options import LIVE
from model.regno.evaluation.quality import Controlled, Evaluation, Scored
from model.regno.evaluation.report import Source
from model.regno.evaluation.risk_control import Limits
from model.regno.features import KINDS, TEXT
from model.regno.model_file.manifest import Manifest, OwnThresholds
from model.regno.request import FIELDS
from model.regno.review.decision import Costs, ThresholdChoice
from model.regno.scorer import BUNDLED, RegnoScorer
from model.tables.errors import TableRefused
from model.tables.format import options_of

Array: TypeAlias = np.ndarray[Any, Any]

JSON: Final = "report.json"
HTML: Final = "report.html"
_WORD: Final = re.compile(r"\w+")
_REPETITIONS: Final = 200
_CLASS: Final = "camera_class"
# Rows scored at a time: their features as a table take about a kilobyte each.
_ROWS: Final = 20_000
# numpy's names of parts of a time, by the names of columns.
_TIMES: Final = {"date": "datetime64[D]", "month": "datetime64[M]"}
# Fields that hold plates, or what only repeats in them.
_NOT_GROUPED: Final = ("regno_recognize", "afts_regno_ai", *TEXT, "camera_tail", "network_tail")


def run(options: Namespace) -> int:
    """Evaluate as the options say; print a summary. Returns the exit status."""

    def evaluate() -> None:
        with stop_signals() as signals, _refusals():
            _run(options, signals)

    return exit_status(options.prog, evaluate)


def _run(options: Namespace, signals: SignalFlag) -> None:
    _check_out(options.out)
    path = _path(options)
    scorer = _loaded(path, "" if options.registry else options.positive_class)
    against = _against(options)
    contents, source = _read(options, signals)
    _check_groups(options.by, contents)
    steps = Steps(options, signals)
    made = _evaluated(steps, (scorer, against), contents, source)
    _write(options, made)
    _check_limits(options, made)


def _check_out(folder: Path | None) -> None:
    """Raise Exit at once for a folder of reports that can't be made or written to."""
    if folder is None:
        return
    with os_errors_exit(73, folder):
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


class Steps:
    """The options, a progress bar for the steps of the work, and a check of signals after each."""

    def __init__(self, options: Namespace, signals: SignalFlag) -> None:
        self.options = options
        self._signals = signals
        self._disable = True if options.no_progress else None

    def of(self, title: str, work: Sequence[Any] | Iterator[Any], total: int) -> Iterator[Any]:
        """The same work, its progress shown."""
        for each in tqdm(work, desc=title, total=total, disable=self._disable, leave=False):
            self._signals.check()
            yield each


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (TableRefused, DataRefused) as error:
        raise Exit(65, f"the rows are refused: {error}") from error
    except ModelRefused as error:
        raise Exit(65, str(error)) from error
    except RegistryError as error:
        raise Exit(69 if isinstance(error, Unavailable) else 65, str(error)) from error


def _path(options: Namespace) -> Path:
    """The model file to evaluate."""
    if options.registry:
        return _fetched(options, options.version or LIVE)
    return options.model or BUNDLED


def _fetched(options: Namespace, version: str) -> Path:
    registry = open_registry(options.registry, options.name, options.cache)
    return registry.fetch(registry.named(version))


def _against(options: Namespace) -> RegnoScorer | None:
    if not options.against:
        return None
    if options.registry and not Path(options.against).exists():
        return _loaded(_fetched(options, options.against), "")
    return _loaded(Path(options.against), options.positive_class)


def _loaded(path: Path, positive_class: str) -> RegnoScorer:
    """The scorer of a model file that was validated first. Raises ModelRefused."""
    if path != BUNDLED:
        check_model(path, positive_class)
    return RegnoScorer.load(path, positive_class)


def _read(options: Namespace, signals: SignalFlag) -> tuple[Contents, Source]:
    """The labelled rows. Raises Exit."""
    computed = (*_TIMES, "hour", "weekday")
    extra = [name for name in options.by if name not in (*computed, *KINDS, *FIELDS)]
    late = _late_labels(options)
    reading = Reading(
        options.label,
        options_of(options),
        Choices(options.positive, tuple(dict.fromkeys(extra)), late),
        skip_bad=options.skip_bad,
        progress=not options.no_progress,
    )
    contents, source = read_file(options.rows, reading, signals)
    if joined := contents.joined:
        if joined.rows_without:
            left_out = source.left_out | {"no label with its key": joined.rows_without}
            source = msgspec.structs.replace(source, left_out=left_out)
        sys.stderr.write(f"{', '.join(options.on)}: {joined}\n")
    if not len(contents.rows.labels):
        raise Exit(65, f"{options.rows} has no row to measure a model on")
    return contents, source


def _late_labels(options: Namespace) -> LateLabels | None:
    if not options.join:
        return None
    with os_errors_exit(66, options.join):
        late = LateLabels(options.join, options.on, options.label, many_to_one=options.many_to_one)
    if not late.format.is_plain:
        sys.stderr.write(f"{options.join}: {late.format}\n")
    return late


def _check_groups(names: Sequence[str], contents: Contents) -> None:
    for name in names:
        if name in _NOT_GROUPED:
            raise Exit(65, f"--by {name}: number plates are personal data and stay out of reports")
        if name in FIELDS and name not in contents.rows.table:
            raise Exit(
                65,
                f"--by {name}: its values are not groups; of times, date, month, hour, weekday are",
            )
        if name in contents.extra and any(map(_holds_plate, contents.extra[name].unique())):
            raise Exit(
                65, f"--by {name}: it holds what may be number plates, which are personal data"
            )


def _holds_plate(value: str) -> bool:
    """Whether it is a plate or has one among its words."""
    return any(map(is_whole_plate, (value, *_WORD.findall(value))))


def _groups(name: str, contents: Contents) -> Array:
    """The values of a column, as text, shape (rows,)."""
    rows = contents.rows
    if name in _TIMES:
        return rows.times.astype(_TIMES[name]).astype(str)
    if name in contents.extra:
        return contents.extra[name].to_numpy(dtype=object)
    values = rows.table[name]
    if name == "hour":
        return np.array([f"{hour:02.0f}" for hour in values])
    if values.dtype.kind == "f":
        return np.array([f"{value:g}" for value in values])
    return values.astype(str).to_numpy(dtype=object)


def _scores(scorer: RegnoScorer, rows: LabelledRows, steps: Steps, title: str) -> Array:
    """The probability that the network is right, shape (rows,)."""
    begins = range(0, len(rows.labels), _ROWS)
    parts = [
        scorer.predict_table(as_declared(rows.table.iloc[at : at + _ROWS], scorer.table.features))[
            :, 1
        ]
        for at in steps.of(title, begins, len(begins))
    ]
    positives = np.concatenate(parts)
    if not ((positives >= 0) & (positives <= 1)).all():
        raise DataRefused("the model gives scores that are not probabilities")
    return positives


def _evaluated(
    steps: Steps,
    scorers: tuple[RegnoScorer, RegnoScorer | None],
    contents: Contents,
    source: Source,
) -> Evaluation:
    options, (scorer, other), rows = steps.options, scorers, contents.rows
    scored = Scored(rows.labels, _scores(scorer, rows, steps, "Scoring"))
    labels, positives = scored
    costs = options.costs
    thresholds = ThresholdChoice(costs, by_costs=options.by_costs).of(scorer.manifest)
    measures = quality.intervals(scored, options.seed)
    decided = decisions.report(labels, positives, thresholds, costs)
    columns = list(dict.fromkeys((_CLASS, *options.by)))
    segments = {
        name: quality.segments(scored, _groups(name, contents), thresholds, costs, options.seed)
        for name in steps.of("Segments", columns, len(columns))
    }
    times = np.sort(rows.times).astype(str)
    return Evaluation(
        version=scorer.version,
        sha256=scorer.sha256,
        data=source,
        joined=contents.joined,
        first=times[0].replace("T", " "),
        last=times[-1].replace("T", " "),
        seed=options.seed,
        rows=labels.size,
        positive_share=float(labels.mean()),
        measures=measures,
        baselines=metrics.baselines(labels, rows.table["afts_regno_ai_score"].to_numpy()),
        reliability=[each._asdict() for each in metrics.reliability(labels, positives)],
        certainty=certainty.venn_abers(labels, positives),
        controlled=_controlled(scored, costs, steps),
        segments=segments,
        against=_compared(scored, rows, other, steps),
        warnings=[
            *quality.few_rows(labels, segments),
            *report.doubtful(source, 0),
            *report.of_duplicates(duplicates(rows), labels.size),
            *report.of_join(contents.joined),
            *_unseen(scorer, rows),
            *quality.unexpected_accuracy(decided.expected_accuracy, measures),
            *_learnt(scorer, times[0]),
        ],
        **msgspec.structs.asdict(decided),
    )


def _unseen(scorer: RegnoScorer, rows: LabelledRows) -> list[str]:
    """Warnings about categories that the model never saw."""
    features = scorer.table.features
    kinds = {name: "category" for name, kind in features if kind == "categorical"}
    table = rows.table[[name for name, _ in features]].astype(kinds)
    return [
        f"{name}: {count} of {len(table)} rows have a value that was not in the training "
        "data; their scores are guesses"
        for name, count in scorer.unseen_in_table(table).items()
    ]


def _learnt(scorer: RegnoScorer, first: str) -> list[str]:
    """A warning if the model's manifest shows that it learnt from rows as late as these."""
    if not (last := comparison.learnt_until(scorer, first)):
        return []
    line = (
        f"the model learnt from rows up to {last}: these rows may be among them, and its figures "
        "then look better than they are"
    )
    return [line]


def _compared(
    scored: Scored, rows: LabelledRows, other: RegnoScorer | None, steps: Steps
) -> comparison.Comparison | None:
    if other is None:
        return None
    labels, positives = scored
    if labels.min() == labels.max():
        raise Exit(65, "all rows have one label: two models can't be compared on them")
    others = _scores(other, rows, steps, "Scoring by the second model")
    named = (other.version, other.sha256)
    return comparison.compare(labels, positives, others, named, steps.options.seed)


def _controlled(scored: Scored, costs: Costs, steps: Steps) -> Controlled | None:
    options = steps.options
    if options.max_camera_error is None:
        return None
    limits = Limits(options.max_camera_error, options.max_network_error, options.confidence)
    made = risk_control.control(*scored, limits, options.seed)
    repetitions = risk_control.simulate(*scored, limits, options.seed, _REPETITIONS)
    return Controlled(
        limits,
        made,
        decisions.decide(*scored, risk_control.thresholds(made), costs),
        risk_control.simulation(steps.of("Simulating", repetitions, _REPETITIONS), limits),
    )


def _write(options: Namespace, made: Evaluation) -> None:
    if options.json:
        sys.stdout.write(msgspec.json.encode(made).decode() + "\n")
    else:
        sys.stdout.write(text.summary(made))
    for warning in made.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    if options.out:
        with os_errors_exit(73, options.out):
            options.out.mkdir(parents=True, exist_ok=True)
            encoded = msgspec.json.format(msgspec.json.encode(made), indent=2)
            (options.out / JSON).write_bytes(encoded + b"\n")
            page = render.evaluation(made, charts.of_evaluation(made))
            (options.out / HTML).write_text(page, encoding="utf-8")
    if options.write_thresholds and made.controlled:
        _write_thresholds(options, made.controlled, made)


def _write_thresholds(options: Namespace, controlled: Controlled, made: Evaluation) -> None:
    """Write them into the manifest next to the model. Raises Exit if they are not complete."""
    guarantees = controlled.guarantees
    camera, network = guarantees.camera.threshold, guarantees.network.threshold
    if camera is None or network is None:
        return  # the limits say so
    path = options.model.with_name(manifests.FILE_NAME)
    described = manifests.load_for(options.model, made.sha256, Manifest)
    if described is None:
        raise Exit(
            65,
            f"{options.model} has no manifest to write thresholds into: "
            "python -m model.registry add makes one",
        )
    own = OwnThresholds(
        camera=camera,
        network=network,
        max_camera_error=controlled.limits.camera,
        max_network_error=controlled.limits.network,
        confidence=controlled.limits.confidence,
        rows=made.rows,
    )
    with os_errors_exit(73, path):
        manifests.write(msgspec.structs.replace(described, thresholds=own), path)
    sys.stderr.write(f"{path}: thresholds {camera:.6g} and {network:.6g} written\n")


def _check_limits(options: Namespace, made: Evaluation) -> None:
    """Raise Exit if a limit is not kept."""
    missed = [*_missed(options, made), *_worse(options, made), *_unguaranteed(made)]
    if missed:
        raise Exit(1, "\n".join(missed))


def _missed(options: Namespace, made: Evaluation) -> Iterator[str]:
    values = {name: interval.value for name, interval in made.measures.items()}
    limits: Mapping[str, tuple[float, float | None]] = {
        "log loss": (values["log_loss"], options.max_log_loss),
        "ECE": (values["calibration_error"], options.max_ece),
        "cost of a row": (made.decisions.cost, options.max_cost),
    }
    if options.min_auc is not None:
        if math.isnan(values["auc"]):
            yield "all rows have the same label, and an AUC needs both (--min-auc)"
        elif values["auc"] < options.min_auc:
            yield f"the AUC is {values['auc']:.4f}, below {options.min_auc:g} (--min-auc)"
    for name, (value, limit) in limits.items():
        if limit is not None and not value <= limit:
            yield f"the {name} is {value:.4f}, above {limit:g}"


def _worse(options: Namespace, made: Evaluation) -> Iterator[str]:
    if not options.fail_if_worse or made.against is None:
        return
    for name in ("auc", "brier", "log_loss"):
        if made.against.measures[name].verdict == "worse":
            yield f"{render.METRICS[name]} is worse than that of {made.against.version}"


def _unguaranteed(made: Evaluation) -> Iterator[str]:
    if made.controlled is None:
        return
    for side in ("camera", "network"):
        if getattr(made.controlled.guarantees, side).threshold is None:
            limit = getattr(made.controlled.limits, side)
            yield (
                f"no threshold keeps the share of wrong {side} decisions at {limit:g} with this "
                "confidence: more rows, a better model or a greater share are needed"
            )
