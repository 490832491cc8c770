"""The library: `load` a model and score pandas DataFrames; `pick_regno` scores one reading.

May import: `model`, on first use of a name: the console program is in this package, too.
Never: `service`, `loadgen`. Nothing in the other rooms imports this package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.regno.frames import FrameScorer, load
    from model.regno.pick import pick_regno

__all__ = ["FrameScorer", "load", "pick_regno"]


def __getattr__(name: str) -> Any:
    """A public name. Imports CatBoost and pandas, which takes a second."""
    if name in __all__:
        return getattr(import_module("model.regno"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
