"""What a model's scores depend on: importances of its features, and SHAP values of some rows.

SHAP values are CatBoost's own (Lundberg, Erion and Lee, Consistent Individualized Feature
Attribution for Tree Ensembles, 2018). They are drawn as a beeswarm: a dot for each row, and a line
of dots for each feature.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from msgspec import Struct

from model.regno.evaluation import plot
from model.regno.features import KINDS
from model.regno.model_file.catboost_file import BinaryModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array: TypeAlias = np.ndarray[Any, Any]

FILE_NAME: Final = "shap.png"
# Rows whose SHAP values are computed: each takes up to tens of milliseconds.
ROWS: Final = 300
# Features that the report and the plot show.
SHOWN: Final = 15
# Places along a line of dots; those at one place are put beside each other.
_PLACES: Final = 80
_WIDEST: Final = 0.4


class Importance(Struct, frozen=True):
    """How much a feature matters: its share in per cent, and its mean absolute SHAP value."""

    feature: str
    share: float
    contribution: float


class ShapValues(NamedTuple):
    """SHAP values in log-odds, shape (rows, features), and the table of the same rows."""

    log_odds: Array
    table: pd.DataFrame


def shap_values(model: BinaryModel, table: pd.DataFrame, seed: int) -> ShapValues:
    """The SHAP values of a random sample of the rows of a table, which has the model's features."""
    rows = np.random.default_rng(seed).permutation(len(table))[:ROWS]
    sample = table.iloc[np.sort(rows)]
    return ShapValues(model.contributions_of_table(sample), sample)


def importances(model: BinaryModel, of: ShapValues) -> list[Importance]:
    """All features of a model, the one that matters most first."""
    means = np.abs(of.log_odds).mean(axis=0).tolist()
    shares = model.importances().items()
    listed = [
        Importance(name, share, mean) for (name, share), mean in zip(shares, means, strict=True)
    ]
    return sorted(listed, key=lambda each: -each.share)


def beeswarm(of: ShapValues, features: Sequence[str]) -> bytes:
    """A PNG of the SHAP values of the named features, the first at the top."""
    return plot.png(beeswarm_size(features), lambda figure: draw_beeswarm(figure, of, features))


def beeswarm_size(features: Sequence[str]) -> tuple[float, float]:
    """The size of the plot of so many features, in inches."""
    return 7.5, 0.6 + 0.32 * len(features)


def draw_beeswarm(figure: "Figure", of: ShapValues, features: Sequence[str]) -> None:
    """Draw the SHAP values of the named features, the first at the top."""
    axes = figure.subplots()
    names = list(of.table.columns)
    for line, name in enumerate(reversed(features)):
        _draw(axes, line, of.log_odds[:, names.index(name)], _ranks(of.table[name], name))
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(features)), [*reversed(features)])
    axes.set(ylim=(-0.6, len(features) - 0.4))
    axes.set_xlabel("SHAP value in log-odds: left for the camera, right for the network")
    axes.set_title(
        f"{len(of.log_odds)} held-out rows; red: a high value, blue: a low one, grey: no number",
        fontsize=10,
    )


def _draw(axes: "Axes", line: int, values: Array, ranks: Array) -> None:
    """One line of dots; `ranks` colour them, NaN for grey."""
    heights = line + _offsets(values)
    grey = np.isnan(ranks)
    # As a bitmap, an SVG of thousands of dots stays small.
    dots: Any = {"s": 7, "linewidths": 0, "rasterized": True}
    axes.scatter(values[grey], heights[grey], color="0.55", **dots)
    axes.scatter(
        values[~grey], heights[~grey], c=ranks[~grey], cmap="coolwarm", vmin=0, vmax=1, **dots
    )


def _offsets(values: Array) -> Array:
    """How far each dot is from the middle of its line, so that dots at one place are visible."""
    span = np.ptp(values) or 1.0
    places = ((values - values.min()) / span * (_PLACES - 1)).round().astype(int)
    numbers = pd.Series(places).groupby(places).cumcount().to_numpy()
    steps = (numbers + 1) // 2 * np.where(numbers % 2, 1, -1)
    return np.asarray(steps * (_WIDEST / max(1, np.abs(steps).max())))


def _ranks(column: "pd.Series[Any]", name: str) -> Array:
    """Where each value of a number lies between the least and the greatest, 0 to 1 by rank."""
    if KINDS[name] != "numeric":
        return np.full(len(column), np.nan)
    return column.astype(float).rank(pct=True).to_numpy()
