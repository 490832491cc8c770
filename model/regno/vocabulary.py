"""Which categories a model knows.

CatBoost scores a category that it never saw without a word, as if it were any other unseen
one, and that flips decisions. A manifest lists what was seen in training. A bare .cbm holds
only hashes, but it can be asked: a value that scores exactly like nonsense, in every one of
several different rows, is nonsense to the model.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final, TypeAlias

from model.regno.catboost_file import BinaryModel
from model.regno.features import Row, Value

Guard: TypeAlias = tuple[int, str, Callable[[Value], bool]]

# Only what clients send is asked about. The other categories are computed here from closed
# lists: a month that a model never saw is no fault of anybody's data.
ASKED: Final = ("camera_type", "camera_class")
# No JSON client's category begins so: U+0000 is no part of any name.
_NONSENSE: Final = "\0never seen"
# Answers kept for each feature; an attacker's endless new values push out no memory.
_REMEMBERED: Final = 1024


class Vocabulary:
    """Tells the unseen categories of a row, by guards: (index in the row, feature, knows)."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards

    def unseen(self, row: Row) -> list[str]:
        """The features whose value in this row the model never saw."""
        return [feature for index, feature, knows in self._guards if not knows(row[index])]


def listed(model: BinaryModel, values: Mapping[str, Sequence[str]]) -> Vocabulary:
    """By the values that a manifest lists for each categorical feature."""
    return Vocabulary(
        [
            (index, name, frozenset(values[name]).__contains__)
            for index, (name, kind) in enumerate(model.features)
            if kind == "categorical" and name in values
        ]
    )


def asked(model: BinaryModel, contexts: Sequence[Row]) -> Vocabulary:
    """By asking the model, once for each value; `contexts` are rows in its order."""
    return Vocabulary(
        [
            (index, name, lru_cache(_REMEMBERED)(_question(model, contexts, index)))
            for index, (name, kind) in enumerate(model.features)
            if kind == "categorical" and name in ASKED and model.uses(name)
        ]
    )


def _question(model: BinaryModel, contexts: Sequence[Row], index: int) -> Callable[[Value], bool]:
    def scores_with(value: Value) -> list[list[float]]:
        return model.probabilities([(*row[:index], value, *row[index + 1 :]) for row in contexts])

    @cache
    def of_nonsense() -> list[list[float]]:  # when first asked: nothing is predicted at load
        return scores_with(_NONSENSE)

    return lambda value: scores_with(value) != of_nonsense()
