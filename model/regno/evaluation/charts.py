"""The plots of the pages of an evaluation and of a training, as SVG within the page.

Text, axes and grid have the page's colors, which differ between light and dark.
"""

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from model.regno.evaluation import importance, plot
from model.regno.evaluation.decisions import DecisionReport
from model.regno.evaluation.importance import ShapValues
from model.regno.evaluation.quality import Controlled, Evaluation, Segment
from model.regno.evaluation.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS: Final = {"camera": "tab:orange", "network": "tab:blue", "manual": "0.75"}
_MANY: Final = 12
# Characters of a group's name.
_LONGEST: Final = 40
_SIZE: Final = (5.4, 3.7)
_INK: Final = "#222222"
# What the page puts in the place of these colors.
_OF_THE_PAGE: Final = {_INK: "currentColor", plot.GRID: "var(--line)"}
_INKED: Final = ["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"]


def of_evaluation(made: Evaluation) -> dict[str, str]:
    """SVG by the chart's name; those of a report that has the figures for them."""
    drawn = _of_scores(made.reliability, made)
    drawn["certainty"] = _svg("certainty", lambda axes: _certainty(axes, made))
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


def of_decisions(made: Any) -> dict[str, str]:
    """SVG by the chart's name, of the quality of logged decisions; none where labels lack."""
    drawn = {}
    if made.reliability:
        bins = [each._asdict() for each in made.reliability]
        drawn["reliability"] = _svg("reliability", lambda axes: _reliability(axes, bins))
    for name, by in made.by.items():
        rates = {value: of.errors for value, of in by.items() if of.errors}
        if rates:
            drawn[name] = _svg(
                name,
                lambda axes, rates=rates: _error_rates(axes, rates, made.evidence.limit),  # type: ignore[misc]
                (2 * _SIZE[0], max(1.6, 0.26 * len(rates) + 0.9)),
            )
    return drawn


def of_training(made: Report, shap: ShapValues) -> dict[str, str]:
    """SVG by the chart's name; `shap` are SHAP values of the model that was measured."""
    drawn = _of_scores(made.reliability, made)
    features = [each.feature for each in made.importances[: importance.SHOWN]]
    drawn["shap"] = _drawn(
        "shap",
        lambda figure: importance.draw_beeswarm(figure, shap, features),
        importance.beeswarm_size(features),
    )
    if made.learning_curve:
        points = made.learning_curve.points
        drawn["learning_curve"] = _drawn(
            "learning_curve",
            lambda figure: plot.draw_learning_curve(figure, points),
            plot.LEARNING_CURVE_SIZE,
        )
    return drawn


def _of_scores(bins: Sequence[Mapping[str, float]], made: DecisionReport) -> dict[str, str]:
    return {
        "reliability": _svg("reliability", lambda axes: _reliability(axes, bins)),
        "scores": _svg("scores", lambda axes: _scores(axes, made)),
        "coverage": _svg("coverage", lambda axes: _coverage(axes, made)),
        "manual_cost": _svg("manual_cost", lambda axes: _manual_cost(axes, made)),
    }


def _svg(name: str, draw: Callable[["Axes"], None], size: tuple[float, float] = _SIZE) -> str:
    """The SVG of one pair of axes."""

    def draw_figure(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, color=plot.GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        draw(axes)

    return _drawn(name, draw_figure, size)


def _drawn(name: str, draw: Callable[["Figure"], None], size: tuple[float, float]) -> str:
    from matplotlib import rc_context  # noqa: PLC0415 - the service's image has none
    from matplotlib.figure import Figure  # noqa: PLC0415 - see above

    style: dict[Any, str] = {"svg.fonttype": "none", "font.family": "sans-serif"}
    style |= dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none")
    style |= dict.fromkeys(_INKED, _INK)
    # Ids of clip paths are made of the salt: those of one page must differ.
    with rc_context(style | {"svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    for color, of_the_page in _OF_THE_PAGE.items():
        svg = svg.replace(color, of_the_page)
    return svg[svg.index("<svg") :]


def _percent(axes: "Axes", *sides: str) -> None:
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415 - as above

    for side in sides:
        getattr(axes, f"{side}axis").set_major_formatter(PercentFormatter(1))


def _reliability(axes: "Axes", bins: Sequence[Mapping[str, float]]) -> None:
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


def _scores(axes: "Axes", made: DecisionReport) -> None:
    lows = np.array([b.low for b in made.scores])
    width = made.scores[0].high - made.scores[0].low
    for name, color in (("network_right", "network"), ("camera_right", "camera")):
        rows = np.array([getattr(b, name) for b in made.scores]) / made.decisions.rows
        label = "Network was right" if color == "network" else "Network was wrong"
        axes.bar(lows, rows, width, align="edge", color=_COLORS[color], alpha=0.6, label=label)
    for side in ("camera", "network"):
        threshold = getattr(made.decisions, side)
        if threshold is not None:
            axes.axvline(threshold, color=_COLORS[side], linestyle=":")
    axes.set(xlabel="Predicted probability", ylabel="Share of rows", xlim=(0, 1))
    _percent(axes, "y")
    axes.legend(loc="lower center", ncols=2, bbox_to_anchor=(0.5, 1), frameon=False)


def _coverage(axes: "Axes", made: DecisionReport) -> None:
    all_rows = made.decisions.rows
    points = [p for p in made.coverage if p.coverage * all_rows >= 1 / 0.02] or made.coverage
    axes.plot([p.coverage for p in points], [p.error for p in points], color="tab:blue")
    automatic = [made.decisions.by_decision[name] for name in ("camera", "network")]
    rows = sum(of.rows for of in automatic)
    if rows:
        wrong = automatic[0].network_right + automatic[1].camera_right
        axes.plot(
            *(rows / all_rows, wrong / rows),
            *("o",),
            color="tab:red",
            label="At the thresholds",
        )
        axes.legend(loc="upper left", frameon=False)
    axes.set(xlabel="Share of rows decided automatically", ylabel="Share of them decided wrongly")
    axes.set(xlim=(0, 1.01), ylim=(0, None))
    _percent(axes, "x", "y")


def _manual_cost(axes: "Axes", made: DecisionReport) -> None:
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
    axes.axvline(made.costs.manual, color=_INK, linestyle=":")
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


def _error_rates(axes: "Axes", rates: Mapping[str, Any], limit: float) -> None:
    places = np.arange(len(rates))[::-1]
    low, value, high = (
        [getattr(rate, end) for rate in rates.values()] for end in ("low", "value", "high")
    )
    axes.hlines(places, low, high, color="tab:blue", alpha=0.6)
    axes.plot(value, places, "o", color="tab:blue", label="Wrong, 95 %")
    axes.axvline(limit, color="tab:red", linestyle="--", label="Promised at most")
    axes.set_yticks(
        places, [name[:_LONGEST] for name in rates], fontsize=8 if len(rates) > _MANY else 9
    )
    axes.set(xlabel="Share of automatic decisions that is wrong", ylim=(-0.6, len(rates) - 0.4))
    _percent(axes, "x")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


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
