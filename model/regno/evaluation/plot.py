"""The plots next to a model card or a training report, as PNG."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from model.regno.evaluation.report import LearningPoint

FILE_NAME: Final = "reliability.png"
LEARNING_CURVE: Final = "learning_curve.png"
# In inches.
LEARNING_CURVE_SIZE: Final = (8, 3.6)
GRID: Final = "#ebebeb"


def reliability(bins: Sequence[Mapping[str, float]]) -> bytes:
    """A PNG of predicted probability against observed share; bins as in a manifest's metrics."""
    return png((4.5, 4.5), lambda figure: _draw_reliability(figure, bins))


def _draw_reliability(figure: "Figure", bins: Sequence[Mapping[str, float]]) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect")
    predicted = [b["mean_probability"] for b in bins]
    observed = [b["observed_share"] for b in bins]
    axes.plot(predicted, observed, marker="o", color="tab:blue", label="model, held-out rows")
    for b in bins:
        place = (b["mean_probability"], b["observed_share"])
        axes.annotate(str(b["rows"]), place, (6, -10), textcoords="offset points", fontsize=7)
    axes.set(xlabel="Predicted probability", xlim=(-0.05, 1.12))
    axes.set(ylabel="Share in which the network was right")
    axes.set_title("Reliability; numbers are rows per bin", fontsize=10)
    axes.legend(loc="upper left")


def learning_curve(points: Sequence["LearningPoint"]) -> bytes:
    """A PNG of AUC and log loss with their intervals by the number of training rows."""
    return png(LEARNING_CURVE_SIZE, lambda figure: draw_learning_curve(figure, points))


def draw_learning_curve(figure: "Figure", points: Sequence["LearningPoint"]) -> None:
    """Draw AUC and log loss with their intervals by the number of training rows."""
    from matplotlib.ticker import NullLocator  # noqa: PLC0415 - the service's image has none

    rows = [point.rows for point in points]
    panels = {"auc": "AUC (higher is better)", "log_loss": "Log loss (lower is better)"}
    for axes, (name, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        found = [point.metrics[name] for point in points]
        axes.vlines(
            rows, [each.low for each in found], [each.high for each in found], color="tab:blue",
            alpha=0.5,
        )  # fmt: skip
        axes.plot(rows, [each.value for each in found], marker="o", color="tab:blue")
        axes.set_xscale("log", base=2)
        axes.set_xticks(rows, [f"{count:,}" for count in rows], rotation=30, ha="right")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="Training rows", ylabel=label)
        axes.grid(visible=True, color=GRID, linewidth=0.8)
    figure.suptitle(
        "Held-out rows, by the number of training rows; bars: 95 % intervals", fontsize=10
    )


def png(size: tuple[float, float], draw: Callable[["Figure"], None]) -> bytes:
    """The PNG of a figure, whose size is in inches of 100 pixels."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the service's image has none

    figure = Figure(figsize=size, dpi=100, layout="constrained")
    draw(figure)
    written = BytesIO()
    figure.savefig(written, format="png", metadata={"Software": None})
    return written.getvalue()
