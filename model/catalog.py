"""The catalog: the one place that names models.

Another model is a package with a `MODEL` of the protocol `model.scorer.Model`, and one line: an
entry in `_OWN`, or, for a package that is installed apart, an entry point of `GROUP` that names an
`Entry` of that package:

    [project.entry-points."plate_scoring.models"]
    toy = "toy_scorer:ENTRY"
"""

from collections.abc import Collection, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from model.errors import UnknownModel

if TYPE_CHECKING:
    from model.scorer import Model

GROUP: Final = "plate_scoring.models"


class Entry(NamedTuple):
    """A model, as far as it is known without its libraries.

    `module` is the one that has its `MODEL`, `path` the address that its requests are posted to,
    `artifact` the name of a version's file in a registry, `bundled` the file that is used where no
    other is named, if there is one. `extra` names the extra that has packages it needs beyond
    those of a plain installation; such a model is served by processes that are set to serve it, and
    no other process imports these packages.
    """

    name: str
    module: str
    path: str
    artifact: str
    bundled: Path | None = None
    extra: str = ""

    def load(self) -> "Model":
        """The model. Imports its module on first use: CatBoost takes a second.

        Raises UnknownModel if the module, or its `MODEL`, does not exist.
        """
        try:
            module = import_module(self.module)
        except ModuleNotFoundError as reason:
            if not self.module.startswith(str(reason.name)):
                raise  # a library that the module needs
            raise UnknownModel(f"model {self.name!r}: there is no module {self.module}") from None
        try:
            model: Model = module.MODEL
        except AttributeError:
            raise UnknownModel(f"model {self.name!r}: {self.module} has no MODEL") from None
        return model


_HERE: Final = Path(__file__).parent
_IMAGENET: Final = _HERE / "imagenet" / "model.onnx"
_OWN: Final = (
    Entry(
        "regno",
        "model.regno",
        "/reg/",
        "model.cbm",
        bundled=_HERE / "regno" / "regno.cbm",
    ),
    Entry(
        "digits",
        "model.digits",
        "/digits/",
        "model.onnx",
        bundled=_HERE / "digits" / "model.onnx",
        extra="images",
    ),
    *(
        Entry(name, module, f"/{name}/", "model.onnx", bundled=_IMAGENET, extra="images")
        for name, module in (
            ("imagenet", "model.imagenet"),
            ("cat", "model.imagenet.cat"),
            ("dog", "model.imagenet.dog"),
        )
    ),
)

# The model that commands and settings mean where they name none.
DEFAULT: Final = _OWN[0].name


@cache
def entries() -> Mapping[str, Entry]:
    """All entries by name, the default one first."""
    installed = (point.load() for point in entry_points(group=GROUP))
    return {entry.name: entry for entry in (*_OWN, *installed)}


def served(extra_models: Collection[str]) -> dict[str, Entry]:
    """The entries that a process serves: those without an extra, and those of these names.

    Raises UnknownModel for a name that is not in the catalog.
    """
    for name in extra_models:
        entry(name)
    return {
        name: each for name, each in entries().items() if not each.extra or name in extra_models
    }


def picture_models() -> list[str]:
    """The names of those that score pictures, which need the extra `images`."""
    return [name for name, each in entries().items() if each.extra == "images"]


def entry(name: str) -> Entry:
    """The entry of a name. Raises UnknownModel, naming the known ones."""
    if name == DEFAULT:  # known without a look-up of entry points
        return _OWN[0]
    try:
        return entries()[name]
    except KeyError:
        known = ", ".join(entries())
        raise UnknownModel(f"there is no model {name!r}: known are {known}") from None
