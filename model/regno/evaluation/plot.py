"""The reliability diagram next to a model card or a training report."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Final

FILE_NAME: Final = "reliability.png"


def reliability(bins: Sequence[Mapping[str, float]]) -> bytes:
    """A PNG of predicted probability against observed share; bins as in a manifest's metrics."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the service's image has none

    figure = Figure(figsize=(4.5, 4.5), dpi=100, layout="constrained")
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
    png = BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()
