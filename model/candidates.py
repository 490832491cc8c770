"""A registry as training sees it: the live model to compare with, and a place for the new one."""

from pathlib import Path

from model.registry import Registry, check_model
from model.registry.ingest import ingest
from model.regno.scorer import RegnoScorer


def live(registry: Registry) -> RegnoScorer | None:
    """The scorer of the live version, None if there is none.

    Raises RegistryError, and ModelRefused for a version that can't be served.
    """
    version = registry.aliases().live
    return load(registry.fetch(version)) if version else None


def load(path: Path, positive_class: str = "") -> RegnoScorer:
    """The scorer of a model file, which was validated first. Raises ModelRefused.

    `positive_class` is as for `RegnoScorer.load`.
    """
    check_model(path, positive_class)
    return RegnoScorer.load(path, positive_class)


def add(registry: Registry, model: Path, name: str) -> str:
    """Store a model file and the manifest beside it as a version, which no alias names.

    `name` is that of the registry's model. It is validated first, as it would be served.
    Returns the version. Raises RegistryError, ModelRefused.
    """
    files = ingest(model, name, None, None)
    registry.add(files)
    return files.described().version
