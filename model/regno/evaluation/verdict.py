"""Whether a version is better than another one on labelled readings: the gate with labels."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import Struct

from model.errors import DataRefused
from model.regno.columns.table import as_declared
from model.regno.dataset import rows as dataset
from model.regno.dataset.rows import Choices, LabelledRows
from model.regno.evaluation.bootstrap import LEAST_OF_A_LABEL, LEAST_ROWS, too_few
from model.regno.evaluation.comparison import Comparison, compare, learnt_until
from model.regno.request import FIELDS
from model.regno.scorer import RegnoScorer
from model.request_decoder import EMPTY
from model.tables.errors import TableRefused
from model.tables.table import open_table

Array: TypeAlias = np.ndarray[Any, Any]

LABEL: Final = "label"
# The metrics that decide, with their names for people.
DECIDING: Final = {"auc": "AUC", "log_loss": "log loss"}
_SEED: Final = 1
_FEW: Final = f"too few rows to tell: {LEAST_ROWS} are needed, and {LEAST_OF_A_LABEL} of each label"


class Quality(Struct, frozen=True):
    """Two versions on `rows` labelled readings; `comparison` names the one compared with.

    `verdict` is better, worse or unclear: worse if one of `DECIDING` is, better if one is and the
    other is not worse. `is_small`: the rows are too few, and nothing is clear. `doubts` name a
    version that may have learnt from these rows.
    """

    rows: int
    verdict: str
    comparison: Comparison
    is_small: bool = False
    doubts: list[str] = []

    @property
    def worse(self) -> list[str]:
        """In what the version is worse, in plain words."""
        return [line for name, line in self._deciding() if self._verdict(name) == "worse"]

    @property
    def lines(self) -> list[str]:
        """The outcome in plain words."""
        flips, rightly = self.comparison.flips, self.comparison.rightly
        return [
            *(line for _, line in self._deciding()),
            f"{rightly} of {flips} rows that are decided differently are right now",
            *([_FEW] if self.is_small else []),
            *self.doubts,
        ]

    def _verdict(self, name: str) -> str:
        return self.comparison.measures[name].verdict

    def _deciding(self) -> list[tuple[str, str]]:
        return [(name, self._line(name, shown)) for name, shown in DECIDING.items()]

    def _line(self, name: str, shown: str) -> str:
        measure = self.comparison.measures[name]
        how = "not clearly better" if measure.verdict == "unclear" else measure.verdict
        return (
            f"{how} than {self.comparison.version} in {shown}: "
            f"{measure.difference:+.4f} [{measure.low:+.4f}, {measure.high:+.4f}], "
            f"{measure.new:.4f} after {measure.other:.4f}, on {self.rows} labelled rows"
        )


def labelled(
    path: Path, label: str | None, positive: str = ""
) -> tuple[LabelledRows | None, list[str]]:
    """The good rows of a file with labels, and remarks on rows that have none that can be used.

    The rows are None where the column is empty everywhere, or missing and neither `label` nor
    `positive`, the word that means 1, was named. Raises OSError, TableRefused, and DataRefused if
    the labels are not of both kinds.
    """
    if not (label or positive or _has_column(path, LABEL)):
        return None, []
    name = label or LABEL
    contents = dataset.read(path, name, _no_progress, choices=Choices(positive))
    rows, total = contents.rows, len(contents.rows.labels) + len(contents.faults)
    reasons = Counter(fault.reason for fault in contents.faults)
    unusable = Counter({of: n for of, n in reasons.items() if of.startswith(f"{name}: ")})
    if not rows.labels.size and set(unusable) == {f"{name}: {EMPTY}"}:
        return None, [f"{name} is empty in {path}: its rows count as rows without labels"]
    remarks = [_unusable(path, unusable, total)] if unusable else []
    if len(set(rows.labels.tolist())) < 2:
        needed = f"{path}: its good rows do not have labels of both kinds, which an AUC needs"
        hint = "" if positive or not unusable else "--positive names the word that means 1"
        raise DataRefused("; ".join(filter(None, (needed, *remarks, hint))))
    return rows, remarks


def _unusable(path: Path, reasons: Counter[str], total: int) -> str:
    found = ", ".join(f"{count} × {reason}" for reason, count in reasons.most_common())
    return f"{reasons.total()} of {total} rows of {path} have no usable label ({found})"


def quality(candidate: RegnoScorer, other: RegnoScorer, rows: LabelledRows) -> Quality:
    """How good a candidate is on labelled rows, compared with another version."""
    new, old = (_positives(scorer, rows) for scorer in (candidate, other))
    made = compare(rows.labels, new, old, (other.version, other.sha256), _SEED)
    verdicts = [made.measures[name].verdict for name in DECIDING]
    doubts = [line for scorer in (candidate, other) for line in _head_start(scorer, rows)]
    return Quality(len(rows.labels), _joined(verdicts), made, too_few(rows.labels), doubts)


def _head_start(scorer: RegnoScorer, rows: LabelledRows) -> list[str]:
    last = learnt_until(scorer, str(rows.times.min()))
    if not last:
        return []
    line = (
        f"{scorer.version} learnt from rows up to {last}: these may be among them, and it then "
        "looks better than it is"
    )
    return [line]


def _joined(verdicts: Sequence[str]) -> str:
    return next((v for v in ("worse", "better") if v in verdicts), "unclear")


def _positives(scorer: RegnoScorer, rows: LabelledRows) -> Array:
    return scorer.predict_table(as_declared(rows.table, scorer.table.features))[:, 1]


def _has_column(path: Path, label: str) -> bool:
    try:
        with open_table(path, [*FIELDS, label]):
            return True
    except TableRefused:
        return False


def _no_progress(_: int) -> None:
    """Show nothing."""
