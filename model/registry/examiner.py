"""The process of `model.registry.examination`: `python -m model.registry.examiner FILE CSV CLASS`.

CSV and CLASS may be empty or left out. It loads a model file as it would be served, scores the
golden rows, and tells as JSON what it found: an `Examined`.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

import msgspec

from model.errors import ModelRefused
from model.registry.examination import Examined

# By name, as everywhere outside the scorer's folder: it takes a second to import.
SCORER: Final = "model.regno.papers"

# Whoever scores on this machine goes first.
_NICE: Final = 10


def main(path: str, sample: str = "", positive_class: str = "") -> None:
    """Examine a file; `sample` is a CSV file for the vocabularies of a derived manifest."""
    os.nice(_NICE)
    # CatBoost writes to standard output: what is told goes where only this module writes.
    told = os.dup(1)
    os.dup2(2, 1)
    try:
        csv = Path(sample) if sample else None
        papers = import_module(SCORER).papers(Path(path), csv, positive_class)
        examined = Examined(manifest=msgspec.Raw(msgspec.json.encode(papers)))
    except ModelRefused as reason:
        # What loads a file names it, but who asked knows which it is.
        inner = reason.__cause__
        examined = Examined(refused=str(inner if isinstance(inner, ModelRefused) else reason))
    with os.fdopen(told, "wb") as out:
        out.write(msgspec.json.encode(examined))


if __name__ == "__main__":
    main(*sys.argv[1:])
