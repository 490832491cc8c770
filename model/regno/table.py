"""The features of many readings at once, column by column.

Every value equals the one that `model.regno.features` computes row by row, a zero's sign
aside, which no tree's comparison sees. From some hundred rows on this is several times as
quick, and CatBoost takes a DataFrame of such columns quicker than rows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain, repeat
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from model.regno.characters import least_scores, plate_formats
from model.regno.features import CATEGORICAL, SYMBOLS, TEXT
from model.regno.request import MONTHS, WEEKDAYS, Reading

Array: TypeAlias = np.ndarray[Any, Any]

_STRINGS: Final = frozenset((*CATEGORICAL, *TEXT))
_fields = attrgetter(*Reading.__struct_fields__)
_clock = attrgetter("weekday", "month", "hour")
_WEEKDAY: Final = {name: code for code, name in enumerate(WEEKDAYS)}
_MONTH: Final = {name: code for code, name in enumerate(MONTHS)}


class Columns(NamedTuple):
    """What `n` valid readings hold, field by field; every column has `n` elements.

    `accuracy` (0 to 100), `confidence` (0 to 1) and `direction` (0 or 1) are arrays of shape
    (n,); so are `weekday` (0 is Monday), `month` (0 is January) and `hour` (0 to 23).
    """

    camera: Sequence[str]
    network: Sequence[str]
    accuracy: Array
    confidence: Array
    character_scores: Sequence[Sequence[float]]
    length_scores: Sequence[Sequence[float]]
    camera_type: Sequence[str]
    camera_class: Sequence[str]
    weekday: Array
    month: Array
    hour: Array
    direction: Array


def columns_of(readings: Sequence[Reading]) -> Columns:
    """The columns of readings, of which there must be at least one."""
    (camera, network, accuracy, confidence, characters, lengths, *rest) = zip(
        *map(_fields, readings), strict=True
    )
    camera_type, camera_class, times, direction = rest
    weekday, month, hour = zip(*map(_clock, times), strict=True)
    return Columns(
        camera,
        network,
        np.array(accuracy, dtype=float),
        np.array(confidence, dtype=float),
        characters,
        lengths,
        camera_type,
        camera_class,
        np.array([_WEEKDAY[name] for name in weekday]),
        np.array([_MONTH[name] for name in month]),
        np.array(hour),
        np.array(direction),
    )


class TableMaker:
    """Makes the DataFrame of a model that declares `features`: (name, kind) in its order."""

    def __init__(self, features: Sequence[tuple[str, str]]) -> None:
        self._features = list(features)

    def of_readings(self, readings: Sequence[Reading]) -> pd.DataFrame:
        """One row for each reading; there must be at least one."""
        return self.of_columns(columns_of(readings))

    def of_columns(self, columns: Columns) -> pd.DataFrame:
        """One row for each element of the columns.

        Categorical columns are pandas Categoricals, text columns objects, whole numbers
        int64, all others float64.
        """
        parts = _Parts(columns)
        made = {name: _column(parts, name, kind) for name, kind in self._features}
        return pd.DataFrame(made, copy=False)


def _column(parts: "_Parts", name: str, kind: str) -> Any:
    values = _MAKERS[name](parts)
    if name not in _STRINGS:
        return values
    if kind == "categorical":
        return values if isinstance(values, pd.Categorical) else _categorical(values)
    # A dtype must be named: pandas would make a string array of plain objects.
    return pd.Series(np.asarray(values, dtype=object), dtype=object)


def _categorical(values: Sequence[str]) -> pd.Categorical:
    codes, distinct = pd.factorize(_objects(values))
    return _coded(codes, distinct)


def _coded(codes: Array, names: Sequence[str]) -> pd.Categorical:
    kinds = pd.Index(names, dtype=object)
    return pd.Categorical.from_codes(codes, categories=kinds)  # type: ignore[arg-type]


def _objects(values: Sequence[str]) -> Array:
    return np.fromiter(values, dtype=object, count=len(values))


class _Parts:
    """Columns, and what several features are made of: each computed once and when asked."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.count = len(columns.camera)

    @cached_property
    def character_extremes(self) -> tuple[Array, Array]:
        """The least and the greatest character score of each row."""
        flat, starts = _flat(self.columns.character_scores)
        return np.minimum.reduceat(flat, starts), np.maximum.reduceat(flat, starts)

    @cached_property
    def greatest_length_score(self) -> Array:
        flat, starts = _flat(self.columns.length_scores)
        return np.maximum.reduceat(flat, starts)

    @cached_property
    def symbols(self) -> Mapping[str, Array]:
        """The least score of each symbol."""
        scores = [row or (0.0,) for row in self.columns.character_scores]
        return dict(zip(SYMBOLS, least_scores(self.columns.network, scores), strict=True))


def _flat(lists: Sequence[Sequence[float]]) -> tuple[Array, Array]:
    """All numbers in one array, and where each list begins in it; an empty list is [0]."""
    lists = [row or (0.0,) for row in lists]
    lengths = np.fromiter(map(len, lists), dtype=np.intp, count=len(lists))
    flat = np.fromiter(chain.from_iterable(lists), dtype=float, count=int(lengths.sum()))
    return flat, np.cumsum(lengths) - lengths


def _lengths(texts: Sequence[str]) -> Array:
    return np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))


def _spaced(texts: Sequence[str]) -> Array:
    return np.fromiter(map(" ".join, texts), dtype=object, count=len(texts))


def _formats(texts: Sequence[str]) -> pd.Categorical:
    return _coded(*plate_formats(texts))


def _symbol(symbol: str) -> Callable[[_Parts], Array]:
    return lambda parts: parts.symbols[symbol]


_MAKERS: Final[Mapping[str, Callable[[_Parts], Any]]] = {
    "afts_regno_ai_score": lambda parts: parts.columns.confidence,
    "direction": lambda parts: parts.columns.direction,
    "recognition_accuracy": lambda parts: parts.columns.accuracy,
    "max_sym_score": lambda parts: parts.character_extremes[1],
    "min_sym_score": lambda parts: parts.character_extremes[0],
    "max_len_score": lambda parts: parts.greatest_length_score,
    "ai_len": lambda parts: _lengths(parts.columns.network),
    "cam_len": lambda parts: _lengths(parts.columns.camera),
    "foreign_sym": lambda parts: np.full(parts.count, np.nan),
    "hour": lambda parts: parts.columns.hour,
    **dict(zip(SYMBOLS, map(_symbol, SYMBOLS), strict=True)),
    "camera_type": lambda parts: _categorical(parts.columns.camera_type),
    "camera_class": lambda parts: _categorical(parts.columns.camera_class),
    "weekday": lambda parts: _coded(parts.columns.weekday, WEEKDAYS),
    "month": lambda parts: _coded(parts.columns.month, MONTHS),
    "regno_template": lambda parts: _formats(parts.columns.camera),
    "regno_template_ai": lambda parts: _formats(parts.columns.network),
    "afts_regno_ai_text": lambda parts: _spaced(parts.columns.network),
    "regno_recognize_text": lambda parts: _spaced(parts.columns.camera),
}
