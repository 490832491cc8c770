"""Which categories a model has learnt.

CatBoost silently scores a new category like any other unseen one, and that flips
decisions. A manifest lists the values seen in training. A bare .cbm holds only their hashes, but
it can be probed: a value that scores exactly like nonsense, in every one of several different
rows, is unknown to the model.

One kind of feature can't be probed. CatBoost gives a feature of two values one split, "is it this
one", and the other value then scores like nonsense though it is known. So a feature is probed only
if the model distinguishes two values of the contract from nonsense.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from time import monotonic
from typing import Final, TypeAlias

from model.regno.features import Row, Value
from model.regno.model_file.catboost_file import BinaryModel

Guard: TypeAlias = tuple[int, str, Callable[[Value], bool]]

# Only what clients send is probed, starting from the values that the contract names. The other
# categories are computed here from closed lists: a month that a model never saw is not a fault of
# the data.
PROBED: Final = {
    "camera_type": ("Стационарная", "Передвижная"),
    "camera_class": (
        *("Астра-Трафик", "Стрелка-Плюс", "Стрелка-М", "Стрелка-360", "Стрелка"),
        *("Форсаж", "АвтоУраган-ВСМ2", "Стрит Фалькон"),
    ),
}
# No JSON client's category begins so: U+0000 is not a part of any name.
_NONSENSE: Final = "\0never seen"
# A probe is a prediction, and clients may send any number of new values: these limit the probes a
# second and the unknown values remembered. Values beyond them count as unseen: honest traffic has
# few values, which are soon known.
_PROBES_A_SECOND: Final = 50
_REMEMBERED: Final = 1024
_LONGEST: Final = 200


class Vocabulary:
    """Finds the unseen categories of a row, by guards: (index in the row, feature, knows)."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards

    def unseen(self, row: Row) -> list[str]:
        """The features whose value in this row the model never saw."""
        return [feature for index, feature, knows in self._guards if not knows(row[index])]


def names(values: Iterable[str]) -> list[str]:
    """The sorted distinct values, without blank ones: those are missing values."""
    return sorted({value for value in values if value.strip()})


def listed(model: BinaryModel, values: Mapping[str, Sequence[str]]) -> list[Guard]:
    """Guards by the values that a manifest lists for categorical features."""
    return [
        (index, name, frozenset(values[name]).__contains__)
        for index, (name, kind) in enumerate(model.features)
        if kind == "categorical" and name in values
    ]


def probed(
    model: BinaryModel, contexts: Sequence[Row], listed: Collection[str] = ()
) -> list[Guard]:
    """Guards that probe the model, once for each value of the features not among `listed`.

    `contexts` are rows in its order.
    """
    return [
        (index, name, _Probe(model, contexts, index, PROBED[name]))
        for index, (name, kind) in enumerate(model.features)
        if kind == "categorical" and name in PROBED and name not in listed and model.uses(name)
    ]


def known(
    model: BinaryModel, contexts: Sequence[Row], samples: Mapping[str, Collection[str]]
) -> dict[str, list[str]]:
    """The values of samples by feature, without those that the model provably does not know.

    The values that the contract names are tried too: a sample may lack some.
    """
    probes = {name: probe for _, name, probe in probed(model, contexts)}
    vocabularies = {}
    for name, values in samples.items():
        tried = {*values, *PROBED.get(name, ())}
        probe = probes.get(name)
        knows = probe.knows if isinstance(probe, _Probe) else tried.__contains__
        vocabularies[name] = names(filter(knows, tried))
    return vocabularies


class _Probe:
    """Whether the model has learnt a value of the feature at `index`."""

    def __init__(
        self, model: BinaryModel, contexts: Sequence[Row], index: int, named: Sequence[str]
    ) -> None:
        self._named = named
        self._model = model
        self._contexts = contexts
        self._index = index
        self._known: set[Value] = set()
        self._unknown: set[Value] = set()
        self._second = self._probes = 0

    def __call__(self, value: Value) -> bool:
        if value in self._known or not self._can_be_probed:
            return True
        if value in self._unknown or len(str(value)) > _LONGEST or not self._may_probe():
            return False
        if self._distinguishes(value):
            self._known.add(value)
            return True
        if len(self._unknown) >= _REMEMBERED:
            self._unknown.clear()
        self._unknown.add(value)
        return False

    def knows(self, value: Value) -> bool:
        """The same without limits or memory."""
        return not self._can_be_probed or self._distinguishes(value)

    def _may_probe(self) -> bool:
        second = int(monotonic())
        if second != self._second:
            self._second, self._probes = second, 0
        self._probes += 1
        return self._probes <= _PROBES_A_SECOND

    # Computed on first use: nothing is predicted at load.
    @cached_property
    def _can_be_probed(self) -> bool:
        return sum(map(self._distinguishes, self._named)) >= 2

    def _distinguishes(self, value: Value) -> bool:
        return self._scores_with(value) != self._of_nonsense

    @cached_property
    def _of_nonsense(self) -> list[list[float]]:
        return self._scores_with(_NONSENSE)

    def _scores_with(self, value: Value) -> list[list[float]]:
        at = self._index
        return self._model.probabilities(
            [(*row[:at], value, *row[at + 1 :]) for row in self._contexts]
        )
