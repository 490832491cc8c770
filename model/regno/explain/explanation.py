"""Explanations: contributions of features as text and as steps of the probability.

Contributions add up in log-odds, so a probability has no fixed share of each: the steps lead from
the base to the score, the greatest contribution first.
"""

from collections.abc import Sequence
from math import exp
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from model.errors import NotExplained
from model.regno.explain.phrases import phrase
from model.regno.features import Row, Value
from model.regno.score import Contributions, Score

Side: TypeAlias = Literal["network", "camera", "neither"]

# Of floats that were added in another order; a real difference is greater by far.
_SAME: Final = 1e-9
# How many features the summary names for each side.
_NAMED: Final = 3


class Influence(Struct):
    """The influence of one feature on a score."""

    feature: str
    value: Annotated[float | int | str | None, Meta(description="The row's; null if missing.")]
    contribution: Annotated[float, Meta(description="In log-odds; above 0 it favours the network.")]
    step: Annotated[
        float, Meta(description="By how much it moved the probability, in this list's order.")
    ]
    pushes: Annotated[Side, Meta(description="The side that it favours.")]
    text: Annotated[str, Meta(description="All of that in words.")]


class Explanation(Struct):
    """A score and its reasons: `base` and all contributions add up to `raw`.

    Of a calibrated model they explain `uncalibrated`, which its calibration turns into `positive`.
    """

    negative: Annotated[float, Meta(description="As POST /reg/ says.")]
    positive: Annotated[float, Meta(description="As POST /reg/ says.")]
    raw: Annotated[float, Meta(description="The log-odds of `positive`, or of `uncalibrated`.")]
    base: Annotated[float, Meta(description="The model's mean log-odds, before any feature.")]
    base_probability: Annotated[float, Meta(description="`base` as a probability.")]
    text: Annotated[str, Meta(description="The score and its main reasons in words.")]
    features: Annotated[
        list[Influence], Meta(description="Every feature, greatest contribution first.")
    ]
    uncalibrated: (
        Annotated[
            float,
            Meta(description="The probability before calibration; only of a calibrated model."),
        ]
        | UnsetType
    ) = UNSET


def explain(
    names: Sequence[str],
    row: Row,
    score: Score,
    parts: Contributions,
    uncalibrated: float | None = None,
) -> Explanation:
    """The explanation of a row's score; `names` are the features, in the order of row and `parts`.

    `uncalibrated` is the positive probability by the trees alone, None if the score is just that.
    Raises NotExplained when the contributions don't add up to the score.
    """
    _check_sum(parts, score.positive if uncalibrated is None else uncalibrated)
    order = sorted(range(len(names)), key=lambda at: -abs(parts.features[at]))
    influences = []
    reached, before = parts.base, _probability(parts.base)
    for at in order:
        reached += parts.features[at]
        after = _probability(reached)
        influences.append(_influence(names[at], row[at], parts.features[at], after - before))
        before = after
    base = _probability(parts.base)
    explanation = Explanation(
        score.negative, score.positive, parts.raw, parts.base, base, "", influences
    )
    if uncalibrated is not None:
        explanation.uncalibrated = uncalibrated
    explanation.text = _summary(explanation)
    return explanation


def _check_sum(parts: Contributions, positive: float) -> None:
    terms = (parts.base, *parts.features)
    if not abs(sum(terms) - parts.raw) <= _SAME * max(1.0, *map(abs, terms)):
        raise NotExplained(
            "its contributions do not add up to its score, as happens if trees are not symmetric"
        )
    if not abs(_probability(parts.raw) - positive) <= _SAME:
        raise NotExplained("its contributions are those of another score")


def _influence(name: str, value: Value, contribution: float, step: float) -> Influence:
    pushes = _side(contribution)
    known = None if value != value else value  # noqa: PLR0124 - a number that is missing is NaN
    text = phrase(name, value)
    if pushes == "neither":
        text = f"{text}: makes no difference"
    else:
        text = f"{text}: favours the {pushes}, {contribution:+.3f} ({100 * step:+.1f} points)"
    return Influence(name, known, contribution, step, pushes, text)


def _side(contribution: float) -> Side:
    if contribution == 0:
        return "neither"
    return "network" if contribution > 0 else "camera"


def _summary(of: Explanation) -> str:
    summary = f"The network is right with {100 * of.positive:.1f} %, "
    if of.uncalibrated is not UNSET:
        summary += f"calibrated from the {100 * of.uncalibrated:.1f} % of the trees, "
    summary += f"from {100 * of.base_probability:.1f} % at the base."
    sides = (*_reasons("network", of.features), *_reasons("camera", of.features))
    return " ".join((summary, *sides))


def _reasons(side: Side, influences: Sequence[Influence]) -> list[str]:
    named = [phrase(each.feature, each.value) for each in influences if each.pushes == side][
        :_NAMED
    ]
    return [f"For the {side}: {'; '.join(named)}."] if named else []


def _probability(log_odds: float) -> float:
    """The logistic function, in the form that can't overflow."""
    if log_odds >= 0:
        return 1 / (1 + exp(-log_odds))
    grown = exp(log_odds)
    return grown / (1 + grown)
