"""A promotion by hand: the live version and the new one score the same readings first."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from model.errors import ModelRefused
from model.registry.errors import Damaged, Refused
from model.registry.examination import examine
from model.registry.incoming import check_readable
from model.registry.registry import Registry

# By name, as in the examiner: it takes a second to import.
_SCORER: Final = "model.regno"


class Trial:
    """A registry's check of one promotion: the examination, then the parity gate.

    `live` is the version that it is held against, "" if there is none. `parity` is what the
    comparison found, None without one: before it, or as nothing was live.
    """

    def __init__(self, registry: Registry, rows: Path | None, limits: Mapping[str, float]) -> None:
        """`rows` is a CSV file of readings to compare both on, beside the golden rows.

        `limits` are those of `model.regno.Limits` that are not the usual ones.
        Raises Damaged, FileUnreadable; Refused when the file holds no reading.
        """
        self._registry = registry
        self._limits = limits
        self.live = registry.aliases().live
        self._readings, self._left_out = _readings(rows) if rows else ([], [])
        self.parity: Any = None
        self.remarks: list[str] = []

    def report(self) -> dict[str, Any]:
        """What the comparison found, for machines."""
        return {"parity": self.parity, "remarks": self.remarks}

    def __call__(self, model: Path) -> None:
        """Raises ModelRefused for a model that can't be served, or differs too much."""
        examine(model)  # first: a live version that fails must not hide that this one does
        if self.live:
            self._compare(model)

    def _compare(self, model: Path) -> None:
        regno = import_module(_SCORER)
        gate = regno.Gate(_examined, self._scorer(), self._readings, regno.Limits(**self._limits))
        try:
            gate(model)
        finally:
            self.parity, self.remarks = gate.parity, [*self._left_out, *gate.remarks]

    def _scorer(self) -> Any:
        """The live version's. It may have been forced, or damaged since."""
        try:
            path = self._registry.fetch(self.live)
            examine(path)
            return import_module(_SCORER).RegnoScorer.load(path)
        except (ModelRefused, Damaged, Refused) as reason:
            told = f"{self.live}, which is live, can't be compared with: {reason}"
            raise ModelRefused(told) from reason


def _examined(_: Path) -> None:
    """The check of a model that was examined just now."""


def _readings(rows: Path) -> tuple[list[Any], list[str]]:
    """The readings of a file, and how many rows are none, in words."""
    check_readable(rows)
    try:
        found = list(import_module(f"{_SCORER}.columns.sample").read(rows))
    except ModelRefused as reason:
        raise Refused(str(reason)) from reason
    good = [reading for reading in found if reading]
    if not good:
        raise Refused(f"no row of {rows} is a reading")
    bad = len(found) - len(good)
    return good, [f"{bad} of {len(found)} rows of {rows} are no readings"] if bad else []
