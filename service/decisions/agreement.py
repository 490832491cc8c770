"""How much reviewers agree, by cases that two of them answered.

Raw agreement is the share of cases with equal answers. Reviewers who guess agree, too, so
Krippendorff's alpha sets it beside what chance makes of the same answers: 1 is perfect, 0 is
chance (Krippendorff, Computing Krippendorff's alpha-reliability, 2011). Cohen's kappa is for two
fixed people; here any two of many answer a case.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from service.decisions.quality import wilson


class Agreement(NamedTuple):
    """The share of cases with equal answers, with its 95 % interval.

    `alpha` is None where all answers are equal: then chance would do as well.
    """

    cases: int
    share: float
    low: float
    high: float
    alpha: float | None


def agreement(pairs: Mapping[tuple[str, str], int]) -> Agreement | None:
    """The agreement of pairs of answers, of which each came so often; None without any."""
    cases = sum(pairs.values())
    if not cases:
        return None
    same = sum(number for (one, other), number in pairs.items() if one == other)
    low, high = wilson(same / cases, cases)
    return Agreement(cases, same / cases, low, high, _alpha(pairs))


def _alpha(pairs: Mapping[tuple[str, str], int]) -> float | None:
    """Alpha for nominal answers, of which each case has two."""
    answers = Counter[str]()
    for pair, number in pairs.items():
        for answer in pair:
            answers[answer] += number
    total = answers.total()
    by_chance = total**2 - sum(number**2 for number in answers.values())
    if not by_chance:
        return None
    observed = 2 * sum(number for (one, other), number in pairs.items() if one != other)
    return 1 - (total - 1) * observed / by_chance
