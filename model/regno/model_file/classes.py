"""Which of a binary model's two classes is `positive`: that the network's reading is right.

CatBoost gives a probability for each class in the order of the model's `classes_`, which is
that of its training: class weights, given as a mapping, turn it round. So a column is taken by
the name of its class, never by its place.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from model.errors import ModelRefused
from model.names import PLATE, is_plate, printable

# Names that show which class is positive: the first of each pair.
_EVIDENT: Final = {"1": "0", "1.0": "0.0", "true": "false"}


class Classes(NamedTuple):
    """The names of a model's two classes, in its own order, and the place of the positive one."""

    names: tuple[str, str]
    positive_at: int

    @property
    def positive(self) -> str:
        """The name of the positive class."""
        return self.names[self.positive_at]


def classes_of(labels: Sequence[Any], positive: str = "") -> Classes:
    """The classes of a model with these labels; `positive` is the name of one, if it is given.

    Raises ModelRefused when there are not two, or it is not clear which is positive.
    """
    names = [_name(label) for label in labels]
    if len(names) != 2:
        what = f"a classifier of {len(names)} classes" if names else "no classifier"
        raise ModelRefused(f"it is {what}; a binary classifier is required")
    if any(map(is_plate, names)):
        raise ModelRefused(f"the name of one of its classes: {PLATE}")
    first, second = names
    listing = f"its classes are {printable(first)} and {printable(second)}"
    if first == second:
        raise ModelRefused(f"{listing}, which are not two")
    if any(name != printable(name) for name in names):
        raise ModelRefused(f"{listing}: names so long or unprintable go into no log")
    if positive and positive not in names:
        raise ModelRefused(f"positive_class is {printable(positive)}, and {listing}")
    evident = _evident(names)
    if not (evident or positive):
        raise ModelRefused(
            f"{listing}, and it is not clear which is positive, that the network is right: "
            "SCORING_POSITIVE_CLASS, --positive-class or positive_class in its manifest names it"
        )
    if evident and positive and positive != evident:
        raise ModelRefused(f"positive_class is {positive}, and {listing}: it can only be {evident}")
    return Classes((first, second), names.index(evident or positive))


def _name(label: Any) -> str:
    """A label as text; a whole number as such, whatever its type."""
    if isinstance(label, str):
        return str(label)
    value = label.item() if hasattr(label, "item") else label
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _evident(names: Sequence[str]) -> str:
    """The class that is positive by its name alone, "" if neither is."""
    folded = [name.casefold() for name in names]
    for name, this, other in zip(names, folded, reversed(folded), strict=True):
        if _EVIDENT.get(this) == other:
            return name
    return ""
