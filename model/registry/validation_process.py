"""The child of `validation`: `python -m model.registry.validation_process FOLDER NAME FILE …`.

CLASS and the files of `Samples` follow, which may be empty. It loads a model file as it would be
served, scores the golden rows, and writes the outcome, a `Validated`, as JSON.
"""

import os
import resource
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from model import catalog
from model.errors import ModelRefused, UnknownModel
from model.files import LARGEST
from model.registry.validation import Samples, Validated

# Processes that score on this machine have priority.
_NICE: Final = 10
# Longer than any parent waits: this ends a child whose parent was killed.
_CPU_SECONDS: Final = 600
# Memory for the model, in addition to that of the libraries. A file of 75 MiB took four times its
# size, so that the largest one fits.
_MEMORY: Final = 1 << 30
# The greatest file that it may write: the copy that is loaded, or the outcome.
_FILE: Final = 2 * LARGEST


def main(folder: str, name: str, path: str, positive_class: str = "", *samples: str) -> None:
    """Validate a file of a model of the catalog, with temporary ones in `folder`."""
    tempfile.tempdir = folder
    _give_way()
    # CatBoost writes to standard output, so the outcome needs a descriptor of its own.
    outcome = os.dup(1)
    os.dup2(2, 1)
    files = Samples(*(Path(sample) if sample else None for sample in samples))
    validated = _validated(name, Path(path), positive_class, files)
    with os.fdopen(outcome, "wb") as out:
        out.write(msgspec.json.encode(validated))


def _validated(name: str, path: Path, positive_class: str, samples: Samples) -> Validated:
    try:
        entry = catalog.entry(name)
        model = entry.load()
        # CatBoost reserves a GiB of addresses with the first model that it loads, if it can, and
        # pyarrow with the first table: not those of the file in question.
        if entry.bundled:
            model.load(entry.bundled).prepare()
    except (UnknownModel, ModelRefused) as reason:  # a package of its extra is missing
        return Validated(refused=str(reason))
    _limit()
    try:
        scorer = model.load(path, positive_class)
        scorer.validate()
        resident = _memory(1)  # explanations have a process of their own in the server
        manifest = model.manifest(scorer, path, samples.vocabulary)
        if samples.reference:
            manifest = model.with_reference(manifest, scorer, samples.reference)
        encoded, is_derived = msgspec.Raw(msgspec.json.encode(manifest)), scorer.manifest is None
        return Validated("", encoded, is_derived=is_derived, resident=resident)
    except ModelRefused as reason:
        # The loader's message names the file, but the parent knows which file it is.
        inner = reason.__cause__
        return Validated(refused=str(inner if isinstance(inner, ModelRefused) else reason))
    except MemoryError:
        return Validated(refused=f"it takes more than {_MEMORY >> 20} MiB of memory")
    except Exception as error:  # noqa: BLE001 - whatever it is, the file can't be served
        return Validated(refused=f"loading it fails with {type(error).__name__}")


def _give_way() -> None:
    """Leave the CPU to processes that serve, and be the first to be killed when memory is short."""
    os.nice(_NICE)
    with suppress(OSError):  # not on every system
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _limit() -> None:
    """Limit what a file can make this process use, once the libraries are imported."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, _CPU_SECONDS)
    _lower(resource.RLIMIT_FSIZE, _FILE)
    if addresses := _memory(0):
        _lower(resource.RLIMIT_AS, addresses + _MEMORY)


def _lower(limit: int, value: int) -> None:
    _, most = resource.getrlimit(limit)
    least = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(limit, (least, least))


def _memory(column: int) -> int | None:
    """Memory of this process in bytes: 0 for virtual, 1 for resident; None if unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[column])
    except OSError:
        return None
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main(*sys.argv[1:])
