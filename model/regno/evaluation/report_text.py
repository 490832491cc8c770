"""The report in Markdown."""

from collections.abc import Mapping
from typing import Final

import msgspec

from model.regno.evaluation import plot
from model.regno.evaluation.display_names import CONTENDERS, MEASURES
from model.regno.evaluation.markdown import cell, table
from model.regno.evaluation.report import Comparison, Report

_PARTS: Final = {"rows": "Rows", "positive_share": "Network right", "first": "From", "last": "To"}
_BINS: Final = {"rows": "Rows", "mean_probability": "Foretold", "observed_share": "Came true"}
_SLICES: Final = {
    "rows": "Rows",
    "positive_share": "Network right",
    "auc": "AUC",
    "calibration_error": "ECE",
    "believed": "Network believed",
}
_FLIPS: Final = {"flips": "Flips"}
_DIFFERENCES: Final = {
    "new": "This model",
    "other": "The other",
    "difference": "Difference",
    "low": "From",
    "high": "To",
    "verdict": "Verdict",
}


def text(report: Report) -> str:
    """The whole report."""
    sections = [_head(report), _warnings(report), _rows(report), _quality(report)]
    if report.against:
        sections.append(_against(report.against))
    return "\n".join([*sections, _classes(report)])


def _head(report: Report) -> str:
    trees = report.trees
    end = "stopped by the validation rows" if trees.stopped_early else "ended at its limit"
    return f"""\
# Training report: {report.version}

SHA-256 `{report.sha256}`. {trees.kept} trees kept; training {end} ({trees.most} at most).
Seed {report.seed}. `positive` is the probability that the network's reading is the true one.
"""


def _warnings(report: Report) -> str:
    lines = [f"- {warning}" for warning in report.warnings] or ["None."]
    return "\n".join(["## Warnings", "", *lines, ""])


def _rows(report: Report) -> str:
    data = report.data
    left_out = "".join(f"- {count}: {cell(why)}\n" for why, count in data.left_out.items())
    empty = ", ".join(f"{field} {count}" for field, count in report.empty.items())
    parts = {name.replace("_", "-"): _dict(part) for name, part in report.parts.items()}
    return f"""\
## Rows

{data.rows} rows of `{cell(data.file)}` (SHA-256 `{data.sha256}`, label `{cell(data.label)}`), \
split by `time_check`.
Rows left out: {sum(data.left_out.values())}.
{left_out}
Rows with an empty text: {empty or "none"}.

{table("", parts, _PARTS)}

{report.known_pairs} held-out rows have two readings that also occur together in training.
"""


def _quality(report: Report) -> str:
    contenders = {name: report.contenders[key] for key, name in CONTENDERS.items()}
    bins = {str(number): found for number, found in enumerate(report.reliability, 1)}
    return f"""\
## On the held-out rows

Higher is better for AUC and accuracy, lower for the rest. ECE is the expected calibration
error over ten bins of equal width. Log loss is in nats.

{table("", contenders, MEASURES)}

Reliability, by those bins that hold rows:

{table("Bin", bins, _BINS)}

![Foretold probability against the share that came true]({plot.FILE_NAME})
"""


def _against(other: Comparison) -> str:
    measures = {MEASURES[name]: _dict(found) for name, found in other.measures.items()}
    return f"""\
## Against {cell(other.version)}

The same held-out rows through the model of SHA-256 `{other.sha256}`. Differences are this
model less the other, with the middle 95 % of a paired bootstrap.

{table("", measures, _DIFFERENCES)}

At one half the two decide differently in {other.flips} rows; in {other.rightly} of them this
model is right.
"""


def _classes(report: Report) -> str:
    columns = {**_SLICES, **_FLIPS} if report.against else _SLICES
    classes = {name: _dict(found) for name, found in report.by_camera_class.items()}
    return f"""\
## By camera class

A dash is where the rows have one kind of label only.

{table("camera_class", classes, columns)}
"""


def _dict(struct: msgspec.Struct) -> Mapping[str, object]:
    return msgspec.structs.asdict(struct)
