"""The features of many readings at once, column by column.

Every value equals the one that `model.regno.features` computes row by row, a zero's sign
aside, which no tree's comparison sees. From some hundred rows on this is several times as
quick, and CatBoost takes a DataFrame of such columns quicker than rows.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from model.regno.columns.characters import FORMAT_NAMES, Readings, format_codes, least_scores
from model.regno.columns.differences import Differences, differences, pair_categories
from model.regno.columns.ragged import Lists
from model.regno.differences import tail
from model.regno.features import KINDS, SYMBOLS
from model.regno.request import Reading, WallClock

Array: TypeAlias = np.ndarray[Any, Any]

_STRINGS: Final = frozenset(name for name, kind in KINDS.items() if kind != "numeric")
# The first of January 2024 was a Monday. Wall-clock times bear no zone.
WEEKDAYS: Final = [WallClock(datetime(2024, 1, 1 + day)).weekday for day in range(7)]  # noqa: DTZ001
MONTHS: Final = [WallClock(datetime(2024, 1 + month, 1)).month for month in range(12)]  # noqa: DTZ001
_FEW: Final = 64
_MONTH: Final = {name: code for code, name in enumerate(MONTHS)}
_fields = attrgetter(*Reading.__struct_fields__)
_clock = attrgetter("day", "month", "hour")


class Columns(NamedTuple):
    """What `n` valid readings hold, field by field; every column has `n` elements.

    `accuracy` (0 to 100), `confidence` (0 to 1) and `direction` (0 or 1) are arrays of shape
    (n,); so are `day` (the ordinal of the date), `month` (0 is January) and `hour` (0 to 23).
    `camera_type` and `camera_class` may be Categoricals.
    """

    camera: Readings
    network: Readings
    accuracy: Array
    confidence: Array
    character_scores: Lists
    length_scores: Lists
    camera_type: Sequence[str] | pd.Categorical
    camera_class: Sequence[str] | pd.Categorical
    day: Array
    month: Array
    hour: Array
    direction: Array


def columns_of(readings: Sequence[Reading]) -> Columns:
    """The columns of readings, of which there must be at least one."""
    (camera, network, accuracy, confidence, characters, lengths, *rest) = zip(
        *map(_fields, readings), strict=True
    )
    camera_type, camera_class, times, direction = rest
    day, month, hour = zip(*map(_clock, times), strict=True)
    return Columns(
        Readings(camera),
        Readings(network),
        np.array(accuracy, dtype=float),
        np.array(confidence, dtype=float),
        Lists.of(characters),
        Lists.of(lengths),
        camera_type,
        camera_class,
        np.array(day),
        np.array([_MONTH[name] for name in month]),
        np.array(hour),
        np.array(direction),
    )


class TableMaker:
    """Makes the DataFrame of a model that declares `features`: (name, kind) in its order."""

    def __init__(self, features: Sequence[tuple[str, str]]) -> None:
        self.features = list(features)

    def of_readings(self, readings: Sequence[Reading]) -> pd.DataFrame:
        """One row for each reading; there must be at least one."""
        return self.of_columns(columns_of(readings))

    def of_columns(self, columns: Columns) -> pd.DataFrame:
        """One row for each element of the columns.

        Categorical columns are pandas Categoricals, text columns objects, whole numbers
        int64, all others float64.
        """
        parts = _Parts(columns)
        made = {name: _column(parts, name, kind) for name, kind in self.features}
        return pd.DataFrame(made, copy=False)


def _column(parts: "_Parts", name: str, kind: str) -> Any:
    values = _MAKERS[name](parts)
    if name not in _STRINGS:
        return values
    if kind == "categorical":
        return _categorical(values)
    return pd.Series(np.asarray(values, dtype=object), dtype=object)


def _categorical(values: Sequence[str] | pd.Categorical) -> Any:
    if isinstance(values, pd.Categorical):
        return values
    codes, distinct = pd.factorize(np.fromiter(values, dtype=object, count=len(values)))
    return coded(codes, distinct.tolist())


def coded(codes: Array, names: Sequence[str]) -> Any:
    """A Categorical of these names, by their places."""
    make = _usual_kind if len(names) <= _FEW else _kind
    # Not validated: the codes come from what has just made the names.
    return pd.Categorical.from_codes(codes, dtype=make(tuple(names)), validate=False)


def _kind(names: tuple[str, ...]) -> pd.CategoricalDtype:
    # A dtype must be named: pandas would make a string array of plain objects.
    return pd.CategoricalDtype(pd.Series(names, dtype=object))


# Most parcels of a file have the same few categories.
_usual_kind: Final = lru_cache(16)(_kind)


def as_declared(table: pd.DataFrame, features: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """The table of a model that declares `features`, out of one of all features."""
    # CatBoost takes text from plain objects only, and categories from them as well.
    strings = {name: object for name, _ in features if name in _STRINGS}
    return table[[name for name, _ in features]].astype(strings)


class _Parts:
    """Columns, and intermediate results of several features: each computed once, on first use."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.count = len(columns.camera)

    @cached_property
    def symbols(self) -> Mapping[str, Array]:
        return least_scores(self.columns.network, self.columns.character_scores)

    @cached_property
    def differences(self) -> Differences:
        columns = self.columns
        return differences(columns.camera, columns.network, columns.character_scores)

    @property
    def lengths(self) -> tuple[Array, Array]:
        return self.columns.camera.sizes, self.columns.network.sizes

    def pairs(self) -> Any:
        return coded(*pair_categories(self.differences.pairs))

    def weekdays(self) -> Any:
        # Day 1 was a Monday.
        return coded((self.columns.day - 1) % len(WEEKDAYS), WEEKDAYS)

    def camera_formats(self) -> Any:
        return coded(format_codes(self.columns.camera), FORMAT_NAMES)

    def network_formats(self) -> Any:
        return coded(format_codes(self.columns.network), FORMAT_NAMES)


def _spaced(texts: Sequence[str]) -> Sequence[str]:
    """Each text with a space between its characters; all at once where none hinders it."""
    joined = "\n".join(texts)
    if joined.count("\n") == len(texts) - 1 and all(texts):
        # Replacing nothing by a space puts one between all characters, in a single call.
        return joined.replace("", " ")[1:-1].split(" \n ")
    return list(map(" ".join, texts))


def _symbol(symbol: str) -> Callable[[_Parts], Array]:
    return lambda parts: parts.symbols[symbol]


_MAKERS: Final[Mapping[str, Callable[[_Parts], Any]]] = {
    "afts_regno_ai_score": lambda parts: parts.columns.confidence,
    "direction": lambda parts: parts.columns.direction,
    "recognition_accuracy": lambda parts: parts.columns.accuracy,
    "max_sym_score": lambda parts: parts.columns.character_scores.greatest,
    "min_sym_score": lambda parts: parts.columns.character_scores.least,
    "max_len_score": lambda parts: parts.columns.length_scores.greatest,
    "ai_len": lambda parts: parts.lengths[1],
    "cam_len": lambda parts: parts.lengths[0],
    "foreign_sym": lambda parts: np.full(parts.count, np.nan),
    "hour": lambda parts: parts.columns.hour,
    **dict(zip(SYMBOLS, map(_symbol, SYMBOLS), strict=True)),
    "camera_type": lambda parts: _categorical(parts.columns.camera_type),
    "camera_class": lambda parts: _categorical(parts.columns.camera_class),
    "weekday": _Parts.weekdays,
    "month": lambda parts: coded(parts.columns.month, MONTHS),
    "regno_template": _Parts.camera_formats,
    "regno_template_ai": _Parts.network_formats,
    "afts_regno_ai_text": lambda parts: _spaced(parts.columns.network.texts),
    "regno_recognize_text": lambda parts: _spaced(parts.columns.camera.texts),
    "diff_count": lambda parts: parts.differences.size,
    "diff_length": lambda parts: np.abs(parts.lengths[0] - parts.lengths[1]),
    "diff_first": lambda parts: parts.differences.first,
    "diff_last": lambda parts: parts.differences.last,
    "diff_min_score": lambda parts: parts.differences.least,
    "diff_product_score": lambda parts: parts.differences.product,
    "same_min_score": lambda parts: parts.differences.least_elsewhere,
    "camera_length_score": lambda parts: parts.columns.length_scores.at(parts.lengths[0], 0),
    "network_length_score": lambda parts: parts.columns.length_scores.at(parts.lengths[1], 0),
    "diff_pair": _Parts.pairs,
    "camera_tail": lambda parts: _categorical(list(map(tail, parts.columns.camera.texts))),
    "network_tail": lambda parts: _categorical(list(map(tail, parts.columns.network.texts))),
}
