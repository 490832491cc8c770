"""A null object for series that can't be read: each of its methods does nothing."""

from collections.abc import Callable
from typing import TypeVar, cast

Family = TypeVar("Family")


class Uncounted:
    """Has every method, and each does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Called once for each name: the next call finds the method on the object."""
        method = self.__dict__[name] = lambda *_, **__: None
        return method


def uncounted(_family: type[Family]) -> Family:
    """What replaces a family of series where its values are not kept."""
    return cast("Family", Uncounted())
