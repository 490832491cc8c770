"""Scores, features and explanations of the rows of a pandas DataFrame, for notebooks and jobs.

A row is read by the rules of the HTTP body and scored as the service scores it. What pandas holds
is taken as what it means: a missing value (None, NaN, NaT) is an empty cell, values of numpy and
timestamps are what they hold; text with decimal commas or dates with the day first is read as in
files. A row that is not a reading stops nothing: it has missing values in the result, and
`score_frame` and `explain_frame` say in the column `error` why, as "field: reason".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
import pandas as pd
from catboost import CatBoost

from model.errors import InvalidRequest
from model.registry import open_registry
from model.regno.columns.table import TableMaker
from model.regno.features import KINDS
from model.regno.golden import readings as golden_readings
from model.regno.pick import reading_of, scorer_of
from model.regno.request import FIELDS, Reading
from model.regno.review.decision import DEFAULT_COSTS, Costs, ThresholdChoice
from model.regno.review.detail import Reviewer
from model.regno.score import Score
from model.regno.scorer import BUNDLED, RegnoScorer
from model.tables.columns import places
from model.tables.errors import TableRefused

if TYPE_CHECKING:
    from model.tables.writing import Writing

# Rows that are read and scored at a time: the readings of more would only take memory.
_ROWS: Final = 10_000
# Rows that are explained in one call, and how long it may take at the most.
_EXPLAINED: Final = 500
_EXPLAIN_SECONDS: Final = 3600.0
_SCORES: Final = ("negative", "positive")
_DETAILS: Final = ("decision", "margin", "warnings", "model")


class _Rows(NamedTuple):
    """Some rows of a frame: the readings, their places in the frame, and the errors of all rows."""

    readings: list[Reading]
    places: list[int]
    errors: list[str]


class FrameScorer:
    """A loaded model that scores DataFrames. All its methods leave the frame as it is.

    A frame has the ten fields of a reading as columns, in any order and among others, named in any
    letters and with any signs between words, as in files (`Camera Type`, `cameraType`). The results
    have its index, and one row for each of its rows. The methods raise ValueError for a frame
    without these columns or with dates such as 02/01/2021 whose month is unclear, and for anything
    that is not a DataFrame.
    """

    def __init__(self, scorer: RegnoScorer) -> None:
        self.scorer = scorer

    @property
    def version(self) -> str:
        """The version of the model: of its manifest, else the first digits of its SHA-256."""
        return self.scorer.version

    @property
    def features(self) -> list[str]:
        """The names of the model's features, in its order."""
        return [name for name, _ in self.scorer.table.features]

    def score_frame(
        self,
        frame: pd.DataFrame,
        *,
        detail: bool = False,
        costs: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """The columns `negative`, `positive` and `error` ("" for a row that has scores).

        `positive` is the probability that the network's reading is right, `negative` that the
        camera's is. With `detail` there are, before `error`, `decision` (camera, network or
        manual), `margin` (how far `positive` is from the nearest threshold), `warnings` (their
        names, with blanks between them) and `model` (the version), as of `model.score --detail`.
        `costs` are what a wrong reading of either and a manual review cost, as `network_wrong`,
        `camera_wrong` and `manual`; what is not named costs as usual. Without them the thresholds
        of the model's manifest decide, if it has any. Raises ValueError for other costs.
        """
        fields = _fields(frame)
        scores = pd.DataFrame(index=range(len(frame)), columns=_SCORES, dtype=float)
        detailed = range(len(frame) if detail else 0)
        details = pd.DataFrame(index=detailed, columns=_DETAILS, dtype=object)
        describe = _describer(self.scorer, costs)
        errors: list[str] = []
        for rows in _parts(fields):
            errors += rows.errors
            if rows.readings:
                table = self.scorer.table.of_readings(rows.readings)
                predicted = self.scorer.predict_table(table)
                scores.iloc[rows.places] = predicted
                if detail:
                    cells = list(map(describe, rows.readings, predicted))
                    details.iloc[rows.places] = np.array(cells, dtype=object)
        result = scores.join(details.astype({"margin": float})) if detail else scores
        return _finished(result.assign(error=_texts(errors)), frame)

    def features_frame(
        self, frame: pd.DataFrame, names: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The features of each row as columns: what CatBoost is given. It has no column `error`.

        `names` are the features wanted, by default the model's in its order. Categories are of the
        type `category`, texts objects, all others numbers. Raises ValueError for unknown names.
        """
        fields = _fields(frame)
        maker = self.scorer.table if names is None else TableMaker(_kinds(names))
        # The first row, which is not kept, makes the columns of a frame without a reading.
        readings, places = golden_readings()[:1], []
        for rows in _parts(fields):
            readings += rows.readings
            places += rows.places
        table = maker.of_readings(readings).iloc[1:]
        table.index = pd.Index(places, dtype=int)
        if len(places) < len(frame):
            table = table.reindex(range(len(frame)))
        return _finished(table, frame)

    def explain_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """How each score came about: `positive`, `base`, one column for each feature, `error`.

        A feature's value is its contribution in log-odds; above 0 it favours the network. `base`
        and all contributions add up to the log-odds of `positive`, or, of a calibrated model, of a
        further column `uncalibrated`. It takes some ten milliseconds a row. Raises NotExplained for
        a model that CatBoost can't explain.
        """
        fields = _fields(frame)
        scores = ["positive", "uncalibrated"] if self.scorer.is_calibrated else ["positive"]
        columns = [*scores, "base", *self.features]
        parts = pd.DataFrame(index=range(len(frame)), columns=columns, dtype=float)
        errors: list[str] = []
        explainer = self.scorer.explainer()
        try:
            for rows in _parts(fields, _EXPLAINED):
                errors += rows.errors
                features = self.scorer.rows(rows.readings)
                explained = self.scorer.explained(features, explainer, _EXPLAIN_SECONDS)
                for place, of in zip(rows.places, explained, strict=True):
                    each = {influence.feature: influence.contribution for influence in of.features}
                    given = [getattr(of, name) for name in (*scores, "base")]
                    parts.iloc[place] = [*given, *map(each.get, self.features)]
        finally:
            explainer.close()
        return _finished(parts.assign(error=_texts(errors)), frame)


def load(
    model: RegnoScorer | CatBoost | str | Path | None = None,
    *,
    registry: str | Path | None = None,
    version: str = "live",
    positive_class: str = "",
) -> FrameScorer:
    """The scorer of a model; without an argument that of the bundled one.

    `model` is the path of a .cbm file, a CatBoost model or a RegnoScorer. `registry` is a folder or
    s3://bucket/prefix instead, and `version` one of its versions, or `live`, `shadow` or
    `previous`. `positive_class` names the class that means that the network is right, where the
    model's classes are not 0 and 1 or their like.
    Raises ModelRefused, and what the registry raises for a version that it does not have.
    """
    if registry is None:
        return FrameScorer(scorer_of(BUNDLED if model is None else model, positive_class))
    if model is not None:
        raise ValueError("name a model or a registry, not both")
    return FrameScorer(RegnoScorer.load(_fetched(registry, version), positive_class))


def _fetched(location: str | Path, version: str) -> Path:
    """The local file of a version in a registry."""
    registry = open_registry(location)
    return registry.fetch(registry.named(version))


def _parts(frame: pd.DataFrame, most: int = _ROWS) -> Iterator[_Rows]:
    """The rows of a frame of fields, `most` at a time. Raises ValueError for unclear dates."""
    writing = _writing(frame)
    for start in range(0, len(frame), most):
        yield _read(frame.iloc[start : start + most], start, writing)


def _writing(frame: pd.DataFrame) -> "Writing":
    """How the first cells of text in a frame are written. Raises ValueError for unclear dates."""
    # It loads pyarrow, which takes memory: what serves reads no frames.
    from model.tables.writing import writing_of  # noqa: PLC0415

    columns = (frame[field].iloc[:_ROWS] for field in FIELDS)
    texts = [
        [cell for cell in column if isinstance(cell, str)]
        for column in columns
        if not pd.api.types.is_numeric_dtype(column.dtype)
    ]
    try:
        return writing_of(texts)
    except TableRefused as error:
        raise ValueError(f"{error.reason}, or use pandas.to_datetime with a format") from error


def _fields(frame: pd.DataFrame) -> pd.DataFrame:
    """The ten fields of a frame by their names. Raises ValueError, as `FrameScorer` says."""
    if not isinstance(frame, pd.DataFrame):  # callers of a library may pass anything
        raise ValueError(  # noqa: TRY004 - as for all that is wrong with a frame
            f"a DataFrame is needed, no {type(frame).__name__}: pandas.DataFrame(rows) makes one "
            "of a list of rows, row.to_frame().T of one row"
        )
    try:
        at = places(list(map(str, frame.columns)), FIELDS)
    except TableRefused as error:
        raise ValueError(f"the frame is no table of readings: {error.reason}") from error
    return frame.iloc[:, at].set_axis(list(FIELDS), axis=1)


def _read(part: pd.DataFrame, start: int, writing: "Writing") -> _Rows:
    columns = [part[field].astype(object) for field in FIELDS]
    plain = [column.where(column.notna(), "").tolist() for column in columns]
    times = FIELDS.index("time_check")
    # A number is not a time: as text it gets the reason that it gets in a file.
    plain[times] = [str(cell) if isinstance(cell, int | float) else cell for cell in plain[times]]
    faults = _rewrite(plain, writing)
    rows = _Rows([], [], [])
    for place, row in enumerate(zip(*plain, strict=True), start):
        error = faults.get(place - start, "")
        if not error:
            try:
                rows.readings.append(reading_of(dict(zip(FIELDS, row, strict=True))))
                rows.places.append(place)
            except InvalidRequest as fault:
                error = str(fault)
        rows.errors.append(error)
    return rows


def _rewrite(columns: Sequence[list[object]], writing: "Writing") -> dict[int, str]:
    """Rewrite the cells of text as programs write them. Returns the faults of unclear rows."""
    import pyarrow as pa  # noqa: PLC0415 - as in `_writing`

    from model.tables.writing import Writing, usual  # noqa: PLC0415

    faults: dict[int, str] = {}
    if writing == Writing():
        return faults
    for field, column in zip(FIELDS, columns, strict=True):
        rows = [row for row, cell in enumerate(column) if isinstance(cell, str)]
        texts = pa.array([column[row] for row in rows], pa.string())
        (changed,), unclear = usual([texts], [field], writing)
        for row, cell in zip(rows, changed.to_pylist(), strict=True):
            column[row] = cell
        faults |= {rows[at]: reason for at, reason in unclear.items()}
    return faults


def _describer(
    scorer: RegnoScorer, costs: Mapping[str, float] | None
) -> Callable[[Reading, Sequence[float]], list[object]]:
    """What gives the cells of `_DETAILS` for a reading and its scores. Raises ValueError."""
    usual = msgspec.structs.asdict(DEFAULT_COSTS)
    if unknown := [name for name in costs or () if name not in usual]:
        raise ValueError(f"costs are of {', '.join(usual)}, not of {', '.join(unknown)}")
    if odd := [name for name, cost in (costs or {}).items() if not _is_number(cost)]:
        raise ValueError(f"the cost {odd[0]} is no number")
    chosen = Costs(**{**usual, **(costs or {})})
    if not (chosen.network_wrong > 0 and chosen.camera_wrong > 0 and chosen.manual >= 0):
        raise ValueError("network_wrong and camera_wrong must cost more than 0, manual not less")
    reviewer = Reviewer({}, ThresholdChoice(chosen, by_costs=bool(costs)))

    def described(reading: Reading, scores: Sequence[float]) -> list[object]:
        detail = reviewer.detail(scorer, reading, Score(*scores))
        names = reviewer.warnings(scorer, reading, scorer.row(reading))
        return [detail.decision, detail.margin, " ".join(names), detail.model]

    return described


def _is_number(value: object) -> bool:
    return isinstance(value, Real)


def _kinds(names: Sequence[str]) -> list[tuple[str, str]]:
    """The names with their kinds, as CatBoost declares features. Raises ValueError."""
    if unknown := [name for name in names if name not in KINDS]:
        raise ValueError(f"no features of a reading: {', '.join(unknown)}")
    return [(name, KINDS[name]) for name in names]


def _texts(values: Sequence[str]) -> "pd.Series[str]":
    return pd.Series(values, dtype=object)


def _finished(result: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    result.index = frame.index
    return result
