"""The packages of the extra `images`: imported on first use, or named by the error if missing."""

from importlib import import_module
from typing import Any

from model.errors import ExtraMissing


def image_library() -> Any:
    """Pillow's module `PIL.Image`. Raises ExtraMissing."""
    return from_extra("PIL.Image", "pillow")


def from_extra(module: str, package: str) -> Any:
    """A module of a package of the extra `images`. Raises ExtraMissing."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise ExtraMissing(
            f"{package} is not installed: pip install 'plate-scoring[images]'"
        ) from None
