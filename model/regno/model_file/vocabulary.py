"""Which categories a model knows.

CatBoost scores a category that it never saw without a word, as if it were any other unseen
one, and that flips decisions. A manifest lists what was seen in training. A bare .cbm holds
only hashes, but it can be asked: a value that scores exactly like nonsense, in every one of
several different rows, is nonsense to the model.

One kind of feature can't be asked about. CatBoost gives a feature of two values one split,
"is it this one", and the other value then scores like nonsense though it is well known. So a
model is asked about a feature only if it tells two values of the contract from nonsense.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from time import monotonic
from typing import Final, TypeAlias

from model.regno.features import Row, Value
from model.regno.model_file.catboost_file import BinaryModel

Guard: TypeAlias = tuple[int, str, Callable[[Value], bool]]

# Only what clients send is asked about, by the values that the contract names. The other
# categories are computed here from closed lists: a month that a model never saw is no fault
# of anybody's data.
ASKED: Final = {
    "camera_type": ("Стационарная", "Передвижная"),
    "camera_class": (
        *("Астра-Трафик", "Стрелка-Плюс", "Стрелка-М", "Стрелка-360", "Стрелка"),
        *("Форсаж", "АвтоУраган-ВСМ2", "Стрит Фалькон"),
    ),
}
# No JSON client's category begins so: U+0000 is no part of any name.
_NONSENSE: Final = "\0never seen"
# A question is a predict of its own, and clients may send any number of new values: so many
# are asked a second, so many unknown values remembered. The rest count as unseen: what can't
# be judged is not to be trusted, and the values of honest traffic are few and soon known.
_A_SECOND: Final = 50
_REMEMBERED: Final = 1024
_LONGEST: Final = 200


class Vocabulary:
    """Tells the unseen categories of a row, by guards: (index in the row, feature, knows)."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards

    def unseen(self, row: Row) -> list[str]:
        """The features whose value in this row the model never saw."""
        return [feature for index, feature, knows in self._guards if not knows(row[index])]


def names(values: Iterable[str]) -> list[str]:
    """The sorted vocabulary of what rows hold. A blank names nothing: that value is missing."""
    return sorted({value for value in values if value.strip()})


def listed(model: BinaryModel, values: Mapping[str, Sequence[str]]) -> list[Guard]:
    """By the values that a manifest lists for categorical features."""
    return [
        (index, name, frozenset(values[name]).__contains__)
        for index, (name, kind) in enumerate(model.features)
        if kind == "categorical" and name in values
    ]


def asked(
    model: BinaryModel, contexts: Sequence[Row], besides: Collection[str] = ()
) -> list[Guard]:
    """By asking the model, once for each value of the features not among `besides`.

    `contexts` are rows in its order.
    """
    return [
        (index, name, _Question(model, contexts, index, ASKED[name]))
        for index, (name, kind) in enumerate(model.features)
        if kind == "categorical" and name in ASKED and name not in besides and model.uses(name)
    ]


def known(
    model: BinaryModel, contexts: Sequence[Row], samples: Mapping[str, Collection[str]]
) -> dict[str, list[str]]:
    """The values of samples, by feature, less those that the model can be shown not to know.

    The values that the contract names are tried too: a sample may lack some.
    """
    questions = {name: question for _, name, question in asked(model, contexts)}
    vocabularies = {}
    for name, values in samples.items():
        tried = {*values, *ASKED.get(name, ())}
        question = questions.get(name)
        knows = question.knows if isinstance(question, _Question) else tried.__contains__
        vocabularies[name] = names(filter(knows, tried))
    return vocabularies


class _Question:
    """Whether the model knows a value of the feature at `index`."""

    def __init__(
        self, model: BinaryModel, contexts: Sequence[Row], index: int, named: Sequence[str]
    ) -> None:
        self._named = named
        self._model = model
        self._contexts = contexts
        self._index = index
        self._known: set[Value] = set()
        self._unknown: set[Value] = set()
        self._second = self._asked = 0

    def __call__(self, value: Value) -> bool:
        if value in self._known or not self._can_tell:
            return True
        if value in self._unknown or len(str(value)) > _LONGEST or not self._may_ask():
            return False
        if self._is_told(value):
            self._known.add(value)
            return True
        if len(self._unknown) >= _REMEMBERED:
            self._unknown.clear()
        self._unknown.add(value)
        return False

    def knows(self, value: Value) -> bool:
        """The same without limits or memory."""
        return not self._can_tell or self._is_told(value)

    def _may_ask(self) -> bool:
        second = int(monotonic())
        if second != self._second:
            self._second, self._asked = second, 0
        self._asked += 1
        return self._asked <= _A_SECOND

    # Worked out when first asked: nothing is predicted at load.
    @cached_property
    def _can_tell(self) -> bool:
        return sum(map(self._is_told, self._named)) >= 2

    def _is_told(self, value: Value) -> bool:
        return self._scores_with(value) != self._of_nonsense

    @cached_property
    def _of_nonsense(self) -> list[list[float]]:
        return self._scores_with(_NONSENSE)

    def _scores_with(self, value: Value) -> list[list[float]]:
        at = self._index
        return self._model.probabilities(
            [(*row[:at], value, *row[at + 1 :]) for row in self._contexts]
        )
