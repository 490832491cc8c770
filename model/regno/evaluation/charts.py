"""The plots of an evaluation, as SVG for a page."""

from collections.abc import Callable, Mapping
from io import StringIO
from typing import TYPE_CHECKING, Final

import numpy as np

from model.regno.evaluation.quality import Controlled, Evaluation, Segment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS: Final = {"camera": "tab:orange", "network": "tab:blue", "manual": "0.75"}
_MANY: Final = 12
# Characters of a group's name.
_LONGEST: Final = 40
_SIZE: Final = (5.4, 3.7)


def charts(made: Evaluation) -> dict[str, str]:
    """SVG by the chart's name; those of a report that has the figures for them."""
    drawn = {
        "reliability": _svg("reliability", lambda axes: _reliability(axes, made)),
        "scores": _svg("scores", lambda axes: _scores(axes, made)),
        "coverage": _svg("coverage", lambda axes: _coverage(axes, made)),
        "manual_cost": _svg("manual_cost", lambda axes: _manual_cost(axes, made)),
        "certainty": _svg("certainty", lambda axes: _certainty(axes, made)),
    }
    if made.controlled:
        controlled = made.controlled
        drawn["simulation"] = _svg("simulation", lambda axes: _simulation(axes, controlled))
    for number, (column, found) in enumerate(made.segments.items()):
        drawn[f"segments:{column}"] = _svg(
            f"segments{number}",
            lambda axes, found=found: _segments(axes, found),  # type: ignore[misc]
            (2 * _SIZE[0], max(1.6, 0.26 * len(found) + 0.9)),
        )
    return drawn


def _svg(name: str, draw: Callable[["Axes"], None], size: tuple[float, float] = _SIZE) -> str:
    from matplotlib import rc_context  # noqa: PLC0415 - the service's image has none
    from matplotlib.figure import Figure  # noqa: PLC0415 - see above

    # Ids of clip paths are made of the salt: those of one page must differ.
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, color="0.92", linewidth=0.8)
        axes.set_axisbelow(True)
        draw(axes)
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _percent(axes: "Axes", *sides: str) -> None:
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415 - as above

    for side in sides:
        getattr(axes, f"{side}axis").set_major_formatter(PercentFormatter(1))


def _reliability(axes: "Axes", made: Evaluation) -> None:
    bins = made.reliability
    predicted, observed, rows = (
        np.array([b[name] for b in bins]) for name in ("mean_probability", "observed_share", "rows")
    )
    # Wilson's interval: the bins at both ends have shares near 0 and 1.
    z, n = 1.96, rows
    middle = (observed + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(observed * (1 - observed) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="Perfect calibration")
    axes.vlines(predicted, middle - half, middle + half, color="tab:blue", alpha=0.5)
    axes.plot(predicted, observed, marker="o", markersize=4, color="tab:blue", label="Model, 95 %")
    axes.set(xlabel="Predicted probability", ylabel="Share in which the network was right")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(loc="upper left", frameon=False)


def _scores(axes: "Axes", made: Evaluation) -> None:
    lows = np.array([b.low for b in made.scores])
    width = made.scores[0].high - made.scores[0].low
    for name, color in (("network_right", "network"), ("camera_right", "camera")):
        rows = np.array([getattr(b, name) for b in made.scores]) / made.rows
        label = "Network was right" if color == "network" else "Network was wrong"
        axes.bar(lows, rows, width, align="edge", color=_COLORS[color], alpha=0.6, label=label)
    for side in ("camera", "network"):
        threshold = getattr(made.decisions, side)
        if threshold is not None:
            axes.axvline(threshold, color=_COLORS[side], linestyle=":")
    axes.set(xlabel="Predicted probability", ylabel="Share of rows", xlim=(0, 1))
    _percent(axes, "y")
    axes.legend(loc="lower center", ncols=2, bbox_to_anchor=(0.5, 1), frameon=False)


def _coverage(axes: "Axes", made: Evaluation) -> None:
    points = [p for p in made.coverage if p.coverage * made.rows >= 1 / 0.02] or made.coverage
    axes.plot([p.coverage for p in points], [p.error for p in points], color="tab:blue")
    automatic = [made.decisions.by_decision[name] for name in ("camera", "network")]
    rows = sum(of.rows for of in automatic)
    if rows:
        wrong = automatic[0].network_right + automatic[1].camera_right
        axes.plot(
            *(rows / made.rows, wrong / rows),
            *("o",),
            color="tab:red",
            label="At the thresholds",
        )
        axes.legend(loc="upper left", frameon=False)
    axes.set(xlabel="Share of rows decided automatically", ylabel="Share of them decided wrongly")
    axes.set(xlim=(0, 1.01), ylim=(0, None))
    _percent(axes, "x", "y")


def _manual_cost(axes: "Axes", made: Evaluation) -> None:
    curve = made.by_manual_cost
    costs = [point.manual for point in curve]
    shares = {
        name: [point.shares[name] for point in curve] for name in ("camera", "manual", "network")
    }
    names = {"camera": "Camera", "manual": "Manual review", "network": "Network"}
    axes.stackplot(
        costs,
        *shares.values(),
        labels=[names[name] for name in shares],
        colors=[_COLORS[name] for name in shares],
        alpha=0.75,
    )
    axes.axvline(made.costs.manual, color="0.2", linestyle=":")
    axes.set(xlabel="Cost of a manual review", ylabel="Share of rows")
    axes.set(xlim=(0, max(costs)), ylim=(0, 1))
    _percent(axes, "y")
    axes.legend(loc="lower center", ncols=3, bbox_to_anchor=(0.5, 1), frameon=False)


def _certainty(axes: "Axes", made: Evaluation) -> None:
    points = made.certainty
    scores = [p.positive for p in points]
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--")
    axes.fill_between(
        scores,
        [p.low for p in points],
        [p.high for p in points],
        color="tab:blue",
        alpha=0.35,
        label="Venn-ABERS interval",
    )
    axes.set(xlabel="Predicted probability", ylabel="Probability by these rows")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(loc="upper left", frameon=False)


def _simulation(axes: "Axes", controlled: Controlled) -> None:
    simulation, limits = controlled.simulation, controlled.limits
    both = {"camera": simulation.camera_errors, "network": simulation.network_errors}
    known = [error for errors in both.values() for error in errors if error == error]  # noqa: PLR0124 - nan
    top = max([limits.camera, limits.network, *known]) * 1.15
    for side, errors in both.items():
        bins = np.linspace(0, top, 41)
        axes.hist(
            [error for error in errors if error == error],  # noqa: PLR0124 - nan
            bins=bins.tolist(),
            color=_COLORS[side],
            alpha=0.6,
            label=f"{side.capitalize()} decisions",
        )
        axes.axvline(getattr(limits, side), color=_COLORS[side], linestyle="--")
    axes.set(
        xlabel="Share of automatic decisions that is wrong", ylabel="Repetitions", xlim=(0, top)
    )
    axes.margins(y=0.18)
    _percent(axes, "x")
    axes.legend(loc="upper left", frameon=False)


def _segments(axes: "Axes", found: Mapping[str, Segment]) -> None:
    names = list(found)
    places = np.arange(len(names))[::-1]
    accuracy = np.array([found[name].accuracy.value for name in names])
    low, high = (
        np.array([getattr(found[name].accuracy, side) for name in names])
        for side in ("low", "high")
    )
    axes.hlines(places, low, high, color="tab:blue", alpha=0.6)
    axes.plot(accuracy, places, "o", color="tab:blue", label="Observed, 95 %")
    expected = [found[name].expected_accuracy for name in names]
    axes.plot(
        expected, places, "d", color="tab:red", markersize=5, label="Expected from the scores"
    )
    axes.set_yticks(
        places, [name[:_LONGEST] for name in names], fontsize=8 if len(names) > _MANY else 9
    )
    axes.set(xlabel="Accuracy", ylim=(-0.6, len(names) - 0.4))
    _percent(axes, "x")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
