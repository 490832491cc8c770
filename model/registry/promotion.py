"""Two versions on the same rows before one replaces the other: sameness, or quality with labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from model import catalog
from model.errors import Breach, DataRefused, GateRefused, ModelRefused
from model.registry.errors import Damaged, Refused, RowsRefused, Unavailable
from model.registry.ingest import FileUnreadable, check_readable, rows_left_out
from model.registry.registry import Registry
from model.registry.validation import validate
from model.tables.errors import TableRefused

if TYPE_CHECKING:
    from model.scorer import Model

# The limits of how much a version may differ. They don't hold where labels show that it is better.
SAMENESS: Final = frozenset(("flips", "flips_in_class", "mean_difference"))
# The limit that a version exceeds which labels show to be worse.
QUALITY: Final = "quality"


class Rows(NamedTuple):
    """A file of requests to compare versions on, in addition to the golden rows.

    `label` is the column of labels; None: the usual one, if the file has it. `positive` is the
    word that means 1, "" for labels of 0 and 1.
    """

    path: Path
    label: str | None = None
    positive: str = ""


class Trial:
    """A registry's check of one promotion: the validation, then the comparison with the live one.

    `live` is the version that it is compared with, "" if there is none. `parity` is what the
    comparison found, `quality` the same on labelled rows; None without one.
    """

    def __init__(
        self,
        registry: Registry,
        name: str,
        rows: Rows | None = None,
        limits: Mapping[str, float] = {},
        against: str | None = None,
    ) -> None:
        """`limits` are those of the model's gate that are not the usual ones.

        `name` is the model's in the catalog, `against` the version to compare with, in the place
        of the live one. Raises Damaged, FileUnreadable, Unavailable; RowsRefused when the file
        holds no request.
        """
        self._registry = registry
        self._name = name
        self._limits = limits
        self.live = registry.aliases().live if against is None else against
        self._requests: Sequence[Any] = ()
        self._labelled: Any = None
        self._left_out: list[str] = []
        if rows:
            self._requests, self._left_out = _requests(name, rows.path)
            self._labelled, remarks = _labelled(name, rows)
            self._left_out += remarks
        self.parity: Any = None
        self.quality: Any = None
        self.remarks: list[str] = []

    def report(self) -> dict[str, Any]:
        """What the comparison found, for machines."""
        return {"parity": self.parity, "quality": self.quality, "remarks": self.remarks}

    def __call__(self, model: Path) -> None:
        """Raises ModelRefused for a model that can't be served or is no better.

        That is GateRefused for one that is worse than the live one by the labels, or differs too
        much from it and is not shown to be better.
        """
        # First: a live version that fails must not hide that this one does.
        validate(model, name=self._name)
        if not self.live:
            return
        breaches = self.compare(model)
        if self.quality:
            if self.quality.verdict == "better":
                breaches = [breach for breach in breaches if breach.limit not in SAMENESS]
            breaches += [Breach(reason, QUALITY) for reason in self.quality.worse]
        if breaches:
            raise GateRefused(breaches)

    def compare(self, path: Path) -> list[Breach]:
        """Compare a version that was validated; the limits of the gate that it exceeds."""
        model = catalog.entry(self._name).load()
        live = self._scorer(model)
        gate = model.gate(_validated, live, self._requests, self._limits)
        breaches: list[Breach] = []
        try:
            gate(path)
        except GateRefused as refusal:
            breaches = refusal.breaches
        finally:
            self.parity, self.remarks = gate.parity, [*self._left_out, *gate.remarks]
        if self._labelled is not None:
            self.quality = model.quality(model.load(path), live, self._labelled)
        return breaches

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
        raise RowsRefused(str(reason)) from reason
    good = [request for request in found if request]
    return good, rows_left_out(rows, len(good), len(found) - len(good))


def _labelled(name: str, rows: Rows) -> tuple[Any, Sequence[str]]:
    """The labelled rows of a file, None if it has none; and remarks on its labels."""
    try:
        return catalog.entry(name).load().labelled(*rows)
    except ModuleNotFoundError as error:
        reason = f"labelled rows need {error.name}: install the extra `train`"
        raise Unavailable(reason) from error
    except TableRefused as reason:
        raise RowsRefused(f"{rows.path}: {reason.reason}") from reason
    except DataRefused as reason:
        raise RowsRefused(str(reason)) from reason
    except OSError as error:
        raise FileUnreadable(f"{rows.path}: {error.strerror}") from error
