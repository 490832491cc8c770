"""The regno scorer: requests in, probabilities out."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from hashlib import sha256
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from model import manifests
from model.cache import ExplanationCache
from model.drift.counter import DriftCounter, Variable
from model.errors import ModelRefused, NotExplained
from model.names import printable
from model.regno import golden
from model.regno.columns.fingerprints import Fingerprints
from model.regno.columns.table import Columns, TableMaker, columns_of
from model.regno.doubts import ranges
from model.regno.doubts.finder import NORMALISED, PLATES, UNSEEN, WARNINGS, Doubts, named
from model.regno.doubts.ranges import Bounds
from model.regno.explain.explainer import Explainer
from model.regno.explain.explanation import Explanation, explain
from model.regno.features import CALENDAR, CATEGORICAL, Row, in_order_of
from model.regno.model_file import lignum_evaluator
from model.regno.model_file.catboost_file import BinaryModel, read, refusing
from model.regno.model_file.manifest import USUAL_LENGTHS, Manifest
from model.regno.model_file.manifest_check import fault
from model.regno.model_file.vocabulary import PROBED, Vocabulary, known, listed, probed
from model.regno.plates import has_lookalikes
from model.regno.request import Reading, decode_custom
from model.regno.score import Contributions, Score
from model.request_decoder import RequestDecoder

BUNDLED: Final = Path(__file__).with_name("regno.cbm")
log = logging.getLogger(__name__)

_SAME: Final = 1e-12
# Rows in which a model without a manifest is probed for the values that it knows.
CONTEXTS: Final = 8
# From so many readings on, columns are quicker than rows.
MANY: Final = 400
# What a number in a list takes with its place there, and a letter beyond Latin, in bytes.
_NUMBER_BYTES: Final = 32
_LETTER_BYTES: Final = 4


class RegnoScorer:
    """One loaded model. Immutable: to serve another model, load another scorer."""

    name = "regno"
    table_rows: float = MANY
    # What computes the scores of rows; those of tables CatBoost computes always.
    evaluator = "catboost"

    def __init__(self, model: BinaryModel, described: Manifest | None = None) -> None:
        """A scorer of a model and, if it has any, its manifest."""
        self._model = model
        calibration = described.calibration if described else None
        # Only what is served is calibrated: vocabularies and explanations are those of the trees.
        self._served = model.calibrated(calibration) if calibration else model
        self._probabilities = self._served.probabilities
        self.manifest = described
        self.sha256 = model.sha256
        self.version = described.version if described else f"sha256-{model.sha256[:12]}"
        self._to_row = in_order_of([name for name, _ in model.features])
        self.table = TableMaker(model.features)
        self._fingerprints = Fingerprints(model.features)
        names = [name for name, _ in model.features]
        self._class_at = names.index("camera_class") if "camera_class" in names else None
        self._unexplained: str | None = None

    @classmethod
    def load(
        cls, path: Path | str = BUNDLED, positive_class: str = "", *, warm: bool = False
    ) -> "RegnoScorer":
        """The scorer of a .cbm file and the manifest next to it.

        `positive_class` is the name of the class that means that the network is right, for a
        model whose class names and manifest do not show it. `warm`: try the model too.
        Raises ModelRefused, naming the file and what is wrong with it.
        """
        path = Path(path)
        try:
            blob = read(path)
            # The manifest first: CatBoost may crash on a damaged file, a hash does not.
            described = manifests.load_for(path, sha256(blob).hexdigest(), Manifest)
            model = BinaryModel.parse(blob, _stated(described, positive_class))
            if described:
                _check(described, model, path)
            scorer = cls(model, described)
            if described and described.evaluator == lignum_evaluator.NAME:
                scorer._evaluate_by_lignum()
            if warm:
                scorer.validate()
        except ModelRefused as reason:
            raise ModelRefused(f"{path} is refused: {reason}") from reason
        return scorer

    def _evaluate_by_lignum(self) -> None:
        evaluator, reason = lignum_evaluator.certified(self._served, self.rows(golden.readings()))
        if evaluator is None:
            log.warning("%s is evaluated by CatBoost: %s", self.version, reason)
        else:
            self._probabilities = evaluator.probabilities
            self.evaluator = lignum_evaluator.NAME

    @property
    def classes(self) -> tuple[str, str]:
        """The names of the model's two classes, in its own order."""
        return self._model.classes.names

    @property
    def positive_class(self) -> str:
        """The one whose probability is `positive`: the network is right."""
        return self._model.classes.positive

    @property
    def is_calibrated(self) -> bool:
        """Whether its probabilities are CatBoost's after a calibration."""
        return self._served is not self._model

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        values = {name: known for name, known in self._vocabularies.items() if name not in CALENDAR}
        return Vocabulary(
            [*listed(self._model, values), *probed(self._model, self._contexts, values)]
        )

    @cached_property
    def _calendar(self) -> Vocabulary:
        values = {name: known for name, known in self._vocabularies.items() if name in CALENDAR}
        return Vocabulary(listed(self._model, values))

    @cached_property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """The known values of each category that clients send, as far as they can be determined."""
        unlisted = {name: () for name in PROBED if name not in self._vocabularies}
        probed = known(self._model, self._contexts, unlisted) if unlisted else {}
        values = {**probed, **self._vocabularies}
        return {name: tuple(values[name]) for name in PROBED}

    @cached_property
    def bounds(self) -> Mapping[str, Bounds]:
        """What the confidences in lists and the lengths of readings should be within, by field."""
        return ranges.of(self._model)

    @property
    def plate_lengths(self) -> int:
        """How many confidences a length list holds, one for each plate length from 0."""
        return self.manifest.plate_lengths if self.manifest else USUAL_LENGTHS

    @cached_property
    def _doubts(self) -> Doubts:
        return Doubts(self.bounds, self.plate_lengths)

    @property
    def _contexts(self) -> Sequence[Row]:
        return self.rows(golden.readings()[:CONTEXTS])

    @property
    def _vocabularies(self) -> Mapping[str, Sequence[str]]:
        """The categories by feature that the manifest lists; a derived one may list none."""
        return self.manifest.vocabularies if self.manifest else {}

    @property
    def groups(self) -> Sequence[str]:
        """The camera classes of the manifest, those that the contract names if it has none."""
        return {**PROBED, **self._vocabularies}["camera_class"]

    @property
    def watched_categories(self) -> list[str]:
        """The categorical features whose unseen values can be detected, without the calendar's."""
        listed_or_named = {**PROBED, **self._vocabularies}.keys() - set(CALENDAR)
        return [
            name
            for name, kind in self._model.features
            if kind == "categorical" and name in listed_or_named
        ]

    @property
    def warning_names(self) -> list[str]:
        """All warnings that a reading may have, as `kind:field`."""
        unseen = (named(UNSEEN, feature) for feature in self.watched_categories)
        normalised = (named(NORMALISED, field) for field in (*PROBED, *PLATES))
        return [*unseen, *WARNINGS, *normalised]

    def groups_of(self, rows: Sequence[Row]) -> list[str]:
        """The camera class of each row, "" if the model does not take it."""
        at = self._class_at
        return [""] * len(rows) if at is None else [str(row[at]) for row in rows]

    @property
    def held_out_accuracy(self) -> float | None:
        """The accuracy on held-out rows that the manifest has, None if it has none."""
        measured = self.manifest.metrics.get("model") if self.manifest else None
        accuracy = measured.get("accuracy") if isinstance(measured, dict) else None
        return accuracy if isinstance(accuracy, float) else None

    @property
    def feature_names(self) -> list[str]:
        """The names of a row's elements, in order."""
        return [name for name, _ in self._model.features]

    def importances(self) -> dict[str, float]:
        """How much each feature moves the score, in percent of all."""
        return self._model.importances()

    def drift_counter(self, reference: Sequence[Variable] | None = None, /) -> DriftCounter:
        """A new counter by a reference, without one by the manifest's, which may be empty."""
        if reference is None:
            reference = self.manifest.reference if self.manifest else []
        return DriftCounter([name for name, _ in self._model.features], reference)

    @staticmethod
    def decoder(max_rows: int) -> RequestDecoder[Reading]:
        """What reads bodies: one object, or an array of at most `max_rows`."""
        return RequestDecoder(Reading, decode_custom, max_rows)

    def row(self, reading: Reading) -> Row:
        """The features of a reading, in the model's order."""
        return self._to_row(reading)

    def rows(self, readings: Sequence[Reading]) -> list[Row]:
        """The same for many readings."""
        return list(map(self._to_row, readings))

    def unseen(self, row: Row) -> list[str]:
        """The categorical features whose value in this row the model never saw.

        Those of the calendar are left out: training data of some months are no reason to doubt a
        reading of another.
        """
        return self._vocabulary.unseen(row)

    def unseen_in_calendar(self, row: Row) -> list[str]:
        """The features of the calendar whose value in this row the manifest does not list."""
        return self._calendar.unseen(row)

    def warnings(self, reading: Reading, row: Row) -> list[str]:
        """What makes a reading doubtful, `row` being its features; see `doubts`."""
        warnings = self._doubts.of(reading)
        if unseen := self.unseen(row):
            return [*(named(UNSEEN, feature) for feature in unseen), *warnings]
        return warnings

    def lookalikes(self, reading: Reading) -> list[str]:
        """The fields that have Latin letters where Cyrillic ones are meant; one of `warnings`."""
        return [plate for plate in PLATES if has_lookalikes(getattr(reading, plate))]

    def warnings_of(self, readings: Sequence[Reading], table: pd.DataFrame) -> list[Sequence[str]]:
        """The warnings of each reading, whose table is given."""
        unseen: dict[int, list[str]] = {}
        for feature, codes in self._unseen_codes(table):
            column: Any = table[feature].array
            for row in np.flatnonzero(np.isin(column.codes, list(codes))).tolist():
                unseen.setdefault(row, []).append(named(UNSEEN, feature))
        return [
            [*unseen.get(row, ()), *self._doubts.of(reading)]
            for row, reading in enumerate(readings)
        ]

    def fingerprint(self, row: Row) -> str:
        """See `Fingerprints`."""
        return self._fingerprints.of_row(row)

    def fingerprints(self, table: pd.DataFrame) -> list[str]:
        """The fingerprint of each row of a table."""
        return self._fingerprints.of_table(table)

    def count_warnings(self, columns: Columns, table: pd.DataFrame) -> dict[str, int]:
        """The number of readings with each warning; `table` is the table of the same readings."""
        unseen = self.unseen_in_table(table)
        counts = {named(UNSEEN, feature): count for feature, count in unseen.items()}
        return counts | self._doubts.count(columns)

    def predict(self, rows: Sequence[Row]) -> list[Score]:
        """One score for each row."""
        if not rows:
            return []
        pairs = self._probabilities(rows)
        return [Score(negative, positive) for negative, positive in pairs]

    def score(self, readings: Sequence[Reading]) -> list[Score]:
        """One score for each reading: `rows`, then `predict`."""
        return self.predict(self.rows(readings))

    def explainer(self, cache: ExplanationCache | None = None) -> Explainer:
        """A client for contributions of this model, which a separate process computes."""
        version = f"{self.version} {self.sha256} {self.positive_class}"
        return Explainer(self._model, version, cache)

    @property
    def unexplained(self) -> str | None:
        """Why its scores can't be explained, "" if they can, None if it is not known."""
        if self._unexplained is None and self.manifest:
            return self.manifest.unexplained
        return self._unexplained

    def try_explaining(self) -> str:
        """Why its scores can't be explained, "" if they can; by explaining a golden row.

        One row is enough: CatBoost's contributions of a model add up for each row or for none.
        In this process, where it takes some 0.1 s.
        """
        rows = self.rows(golden.readings()[:1])
        try:
            self.explained_here(rows)
        except NotExplained as reason:
            self._unexplained = str(reason)
        else:
            self._unexplained = ""
        return self._unexplained

    def explained(
        self, rows: Sequence[Row], explainer: Explainer, seconds: float
    ) -> list[Explanation]:
        """The score of each row and how it came about, within so many seconds.

        `explainer` is one that this scorer made. Raises NotExplained.
        """
        if not rows:
            return []
        return self._explanations(rows, explainer.contributions(rows, seconds))

    def explained_here(self, rows: Sequence[Row]) -> list[Explanation]:
        """The same in this process: some 10 ms a row, in which nothing is scored.

        Raises NotExplained.
        """
        return self._explanations(rows, self._model.contributions(rows))

    def _explanations(
        self, rows: Sequence[Row], parts: Sequence[Contributions]
    ) -> list[Explanation]:
        names = [name for name, _ in self._model.features]
        by_trees: Iterable[float | None] = repeat(None)
        if self.is_calibrated:
            by_trees = [positive for _, positive in self._model.probabilities(rows)]
        return list(map(explain, repeat(names), rows, self.predict(rows), parts, by_trees))

    def table_of(self, readings: Sequence[Reading]) -> tuple[pd.DataFrame, dict[str, int]]:
        """The table of readings, and the number of them with each warning."""
        columns = columns_of(readings)
        table = self.table.of_columns(columns)
        return table, self.count_warnings(columns, table)

    @staticmethod
    def group_of(reading: Reading) -> str:
        """The group of a reading for which versions are compared apart: its camera class."""
        return reading.camera_class

    @staticmethod
    def memory_of(reading: Reading) -> int:
        """About how many bytes a reading takes beyond its fixed part."""
        numbers = len(reading.afts_regno_ai_char_scores) + len(reading.afts_regno_ai_length_scores)
        letters = (
            len(reading.regno_recognize)
            + len(reading.afts_regno_ai)
            + len(reading.camera_type)
            + len(reading.camera_class)
        )
        return numbers * _NUMBER_BYTES + letters * _LETTER_BYTES

    def score_table(self, table: pd.DataFrame) -> list[Score]:
        """One score for each row of a table that `self.table` made."""
        pairs = self.predict_table(table).tolist()
        return [Score(negative, positive) for negative, positive in pairs]

    def predict_table(self, table: pd.DataFrame) -> np.ndarray[Any, Any]:
        """[negative, positive] for each row of a table that `self.table` made."""
        return self._served.probabilities_of_table(table)

    def unseen_in_table(self, table: pd.DataFrame) -> dict[str, int]:
        """For each categorical feature with values that the model never saw, their rows."""
        return {name: sum(counts.values()) for name, counts in self._unseen_codes(table)}

    def _unseen_codes(self, table: pd.DataFrame) -> Iterator[tuple[str, dict[int, int]]]:
        """The categorical features with such values, and the rows of each of these, by code."""
        row: list[Any] = [""] * table.shape[1]
        for at, (name, kind) in enumerate(self._model.features):
            if kind == "categorical" and name in CATEGORICAL:
                column: Any = table[name].array
                rows = np.bincount(column.codes, minlength=len(column.categories))
                values = zip(column.categories, rows.tolist(), strict=True)
                unseen = {
                    code: count
                    for code, (value, count) in enumerate(values)
                    if count and name in self.unseen([*row[:at], value, *row[at + 1 :]])
                }
                if unseen:
                    yield name, unseen

    def warm(self) -> None:
        """Do on the golden rows what requests will do, so that no request pays for first-time work.

        Raises ModelRefused when that can't be done, when a score is not a probability, or when it
        is not the manifest's.
        """
        readings = golden.readings()
        with refusing("it can't score the golden rows"):
            rows = self.rows(readings)
            self._model.check_names(rows[0])
            scores = self.predict(rows)
            for reading, row in zip(readings, rows, strict=True):
                self.warnings(reading, row)
                self.unseen_in_calendar(row)
            _ = self.categories  # computed once, on first use
        if not all(abs(s.positive + s.negative - 1) < 1e-9 for s in scores):  # NaN is not, either
            raise ModelRefused("its scores are not probabilities")
        positives = [score.positive for score in scores]
        with _refusing_reference():
            self.drift_counter().add_rows(rows, positives)
        if self.manifest and self.manifest.golden:
            _compare(positives, self.manifest.golden, "its manifest says")
        if self.unexplained is None:
            self.try_explaining()

    def validate(self) -> None:
        """Do what `warm` does, and the same with a table. Raises ModelRefused."""
        self.warm()
        self.try_tables()

    def prepare(self) -> None:
        """Do what scoring tables needs once in a process, but predict nothing.

        In a process that is forked later: the pages of pandas' code that this touches then count
        for none of the others, 4 MiB of each.
        """
        self.table_of(golden.readings())

    def try_tables(self) -> None:
        """Score the golden rows as a table, as large arrays and files are.

        Raises ModelRefused when that can't be done, or when it scores otherwise than row by row.
        """
        readings = golden.readings()
        with refusing("it can't score the golden rows"):
            columns = columns_of(readings)
            table = self.table.of_columns(columns)
            positives = [score.positive for score in self.score_table(table)]
            self.count_warnings(columns, table)
            by_row = [score.positive for score in self.score(readings)]
        _compare(by_row, positives, "in a table it scores")
        with _refusing_reference():
            counter = self.drift_counter()
            counter.add_table(table, positives)
            counter.take()


def _refusing_reference() -> AbstractContextManager[None]:
    return refusing("its manifest is wrong: reference: it does not fit the golden rows")


def _compare(positives: Sequence[float], expected: Sequence[float], says: str) -> None:
    """Raises ModelRefused unless both are the same scores; `says` introduces the expected one."""
    for number, (score, want) in enumerate(zip(positives, expected, strict=True)):
        if not abs(score - want) <= _SAME:
            raise ModelRefused(f"golden row {number} scores {score!r}, {says} {want!r}")


def _check(described: Manifest, model: BinaryModel, path: Path) -> None:
    if wrong := fault(described, model):
        place = path.with_name(manifests.FILE_NAME)
        raise ModelRefused(f"its manifest {place} is wrong: {wrong}")


def _stated(described: Manifest | None, positive_class: str) -> str:
    """The positive class by the manifest or the argument, "" if neither names one."""
    stated = described.positive_class if described else ""
    if stated and positive_class and stated != positive_class:
        said = f"its manifest says that positive_class is {printable(stated)}"
        raise ModelRefused(f"{said}, not {printable(positive_class)}")
    return stated or positive_class
