"""Model card and reports (Markdown, HTML) of a training, an evaluation, decisions, by `templates/`.

`python -m model.regno.evaluation.render` renders the card of the bundled model anew.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from model import manifests
from model.regno.evaluation import importance, plot
from model.regno.evaluation.importance import Importance
from model.regno.evaluation.report import odd_values, spread
from model.regno.model_file.manifest import Manifest
from model.regno.scorer import BUNDLED

if TYPE_CHECKING:
    from model.regno.evaluation.quality import Evaluation
    from model.regno.evaluation.report import Fold, LearningCurve, Report

CARD: Final = "MODEL_CARD.md"
METRICS: Final = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "brier": "Brier",
    "log_loss": "Log loss",
    "calibration_error": "ECE",
}
_MODELS: Final = {
    "model": "**this model**",
    "uncalibrated": "this model, uncalibrated",
    "always_network": "always the network",
    "score_over_half": "the network if its score > 0.5",
    "score_itself": "the network's score taken as the probability",
}


def card(described: Manifest, size: int) -> str:
    """The model card of a model file of `size` bytes, from the manifest alone.

    The sections follow Mitchell et al., Model Cards for Model Reporting (FAT* 2019).
    """
    kinds = [feature.kind for feature in described.features]
    features = described.training.get("features", "v1")
    return _render(
        CARD,
        manifest=described,
        held_out=described.metrics,
        kinds=kinds,
        size=size,
        features=features,
    )


def report(trained: "Report") -> str:
    """The training report, as Markdown that names pictures next to it."""
    return _render("REPORT.md", report=trained)


def training(made: "Report", charts: Mapping[str, str]) -> str:
    """The training report as one HTML file that needs nothing else; `charts` are SVG."""
    return _page("TRAINING.html.j2", made, charts)


def evaluation(made: "Evaluation", charts: Mapping[str, str]) -> str:
    """The page of an evaluation: one HTML file that needs nothing else; `charts` are SVG."""
    return _page("EVALUATION.html.j2", made, charts)


def decisions(measured: Any, about: str, charts: Mapping[str, str]) -> str:
    """The page on the quality of logged decisions; `charts` are SVG."""
    return _page("DECISIONS.html.j2", measured, charts, about=about)


def write_card(folder: Path) -> None:
    """Write the card and the reliability diagram next to the manifest in a folder."""
    described = msgspec.json.decode((folder / manifests.FILE_NAME).read_bytes(), type=Manifest)
    size = (folder / described.file).stat().st_size
    (folder / CARD).write_text(card(described, size), encoding="utf-8")
    (folder / plot.FILE_NAME).write_bytes(plot.reliability(described.metrics["reliability"]))


def cell(text: object) -> str:
    """A text from the data in a form that can stand in a table."""
    line = " ".join(str(text).split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def figure(value: object) -> str:
    """Four decimals of a fraction, a dash for a missing value."""
    if isinstance(value, float):
        return "–" if isnan(value) else f"{value:.4f}"
    return "–" if value is None else cell(value)


def _table(
    corner: str,
    rows: Mapping[str, Any] | Sequence[Any],
    columns: Mapping[str, str],
    names: Mapping[object, str] = {},
) -> str:
    """A table with a line for each row; `columns` are the keys or fields to show, and their heads.

    Rows are mappings or structs, by name or numbered from 1; `names` are how names are displayed.
    """
    named = rows.items() if isinstance(rows, Mapping) else enumerate(rows, 1)
    lines = [
        f"| {names.get(name) or cell(name)} | "
        f"{' | '.join(figure(_value(row, column)) for column in columns)} |"
        for name, row in named
    ]
    head = f"| {corner} | {' | '.join(columns.values())} |"
    return "\n".join((head, "|---|" + "---:|" * len(columns), *lines))


def _folds_table(folds: Sequence["Fold"]) -> str:
    """A table of windows, with the mean and the standard deviation over them at its end."""
    rows: dict[str, Any] = {
        fold.first: {"last": fold.last, "rows": fold.rows, "trees": fold.trees, **fold.metrics}
        for fold in folds
    }
    for at, name in enumerate(("mean", "standard deviation")):
        figures = {metric: pair[at] for metric, pair in spread(folds).items()}
        rows[name] = {"last": None, "trees": None, **figures, "rows": None}
    return _table("From", rows, dict(last="To", rows="Rows", trees="Trees", **METRICS))


def _learning_table(curve: "LearningCurve") -> str:
    """A table of the points, with the difference of the last two and its interval at its end."""
    rows: dict[str, Any] = {
        f"{point.rows}": {
            "trees": point.trees,
            **{name: point.metrics[name].value for name in METRICS},
        }
        for point in curve.points
    }
    for name, end in (("the last doubling", "difference"), ("from", "low"), ("to", "high")):
        found = {metric: getattr(curve.doubling[metric], end) for metric in METRICS}
        rows[name] = {"trees": None, **found}
    return _table("Training rows", rows, dict(trees="Trees", **METRICS))


def _importances_table(importances: Sequence[Importance]) -> str:
    rows = {each.feature: each for each in importances[: importance.SHOWN]}
    return _table("Feature", rows, {"share": "Importance", "contribution": "SHAP"})


def _unused(features: Sequence[str]) -> str:
    """Which features no tree uses."""
    return f"No tree uses: {', '.join(features)}." if features else "All features are used."


def _value(row: object, column: str) -> object:
    return row[column] if isinstance(row, Mapping) else getattr(row, column)


def _page(name: str, made: Any, charts: Mapping[str, str], **more: str) -> str:
    drawn = {chart: Markup(svg) for chart, svg in charts.items()}  # noqa: S704 - our own
    return _pages.get_template(name).render(made=made, charts=drawn, **more)


def _render(name: str, **values: object) -> str:
    return _templates.get_template(f"{name}.j2").render(values)


_folder: Final = FileSystemLoader(Path(__file__).with_name("templates"))
_pages: Final = Environment(
    loader=_folder, undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_templates: Final = Environment(  # noqa: S701 - Markdown; what comes from the data goes through cell
    loader=_folder,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_pages.globals.update(
    metrics=METRICS, models=_MODELS, spread=spread, odd_values=odd_values, shown=importance.SHOWN
)
_templates.filters.update(cell=cell, unused=_unused)
_templates.globals.update(
    table=_table,
    folds_table=_folds_table,
    learning_table=_learning_table,
    importances_table=_importances_table,
    metrics=METRICS,
    models=_MODELS,
    diagram=plot.FILE_NAME,
    shap=importance.FILE_NAME,
    learning_curve=plot.LEARNING_CURVE,
)


def main() -> int:
    """Render the bundled model's card. Returns the exit status."""
    argparse.ArgumentParser(
        prog="python -m model.regno.evaluation.render", description=__doc__
    ).parse_args()
    write_card(BUNDLED.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
