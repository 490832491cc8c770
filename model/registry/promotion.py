"""A promotion by hand: the live version and the new one score the same readings first."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model import catalog
from model.errors import ModelRefused
from model.registry.errors import Damaged, Refused
from model.registry.ingest import check_readable
from model.registry.registry import Registry
from model.registry.validation import validate

if TYPE_CHECKING:
    from model.scorer import Model


class Trial:
    """A registry's check of one promotion: the validation, then the model's gate.

    `live` is the version that it is compared with, "" if there is none. `parity` is what the
    comparison found, None without one: before it, or as nothing was live.
    """

    def __init__(
        self, registry: Registry, name: str, rows: Path | None, limits: Mapping[str, float]
    ) -> None:
        """`rows` is a CSV file of requests to compare both on, in addition to the golden rows.

        `name` is the model's in the catalog, `limits` those of its gate that are not the usual
        ones. Raises Damaged, FileUnreadable; Refused when the file holds no request.
        """
        self._registry = registry
        self._name = name
        self._limits = limits
        self.live = registry.aliases().live
        self._requests, self._left_out = _requests(name, rows) if rows else ([], [])
        self.parity: Any = None
        self.remarks: list[str] = []

    def report(self) -> dict[str, Any]:
        """What the comparison found, for machines."""
        return {"parity": self.parity, "remarks": self.remarks}

    def __call__(self, model: Path) -> None:
        """Raises ModelRefused for a model that can't be served, or differs too much."""
        # First: a live version that fails must not hide that this one does.
        validate(model, name=self._name)
        if self.live:
            self._compare(model)

    def _compare(self, path: Path) -> None:
        model = catalog.entry(self._name).load()
        gate = model.gate(_validated, self._scorer(model), self._requests, self._limits)
        try:
            gate(path)
        finally:
            self.parity, self.remarks = gate.parity, [*self._left_out, *gate.remarks]

    def _scorer(self, model: "Model") -> Any:
        """The live version's. It may have been forced, or damaged since."""
        try:
            path = self._registry.fetch(self.live)
            validate(path, name=self._name)
            return model.load(path)
        except (ModelRefused, Damaged, Refused) as reason:
            failure = f"{self.live}, which is live, can't be compared with: {reason}"
            raise ModelRefused(failure) from reason


def _validated(_: Path) -> None:
    """The check of a model that was validated just now."""


def _requests(name: str, rows: Path) -> tuple[list[Any], list[str]]:
    """The requests of a file, and a remark that counts the rows that are none."""
    check_readable(rows)
    try:
        found = list(catalog.entry(name).load().read_requests(rows))
    except ModelRefused as reason:
        raise Refused(str(reason)) from reason
    good = [request for request in found if request]
    if not good:
        raise Refused(f"no row of {rows} is a reading")
    bad = len(found) - len(good)
    return good, [f"{bad} of {len(found)} rows of {rows} are no readings"] if bad else []
