"""SCORING_GUARDS: the policies of single features, over the default of SCORING_UNSEEN.

The names stand here too, and not only in `model`: settings are read before it is imported.
"""

from typing import Final, Literal, TypeAlias, cast

Policy: TypeAlias = Literal["accept", "normalise", "reject"]

POLICIES: Final = ("accept", "normalise", "reject")
# Clients send these categories; the others are computed, so that there is nothing to respell.
SENT: Final = ("camera_type", "camera_class")
COMPUTED: Final = ("weekday", "month", "regno_template", "regno_template_ai")
PLATES: Final = ("regno_recognize", "afts_regno_ai")
FEATURES: Final = (*SENT, *COMPUTED, *PLATES)


def parse(text: str, unseen: Policy = "accept") -> dict[str, Policy]:
    """The policy of each feature, from `feature=policy` pairs separated by commas.

    `unseen` is that of the categories that are not named; look-alike letters are accepted.
    Raises ValueError, naming the feature.
    """
    named: dict[str, Policy] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        feature, _, policy = map(str.strip, pair.partition("="))
        _check(feature, policy)
        if feature in named:
            raise ValueError(f"{feature} is named twice")
        named[feature] = cast("Policy", policy)
    return {**dict.fromkeys((*SENT, *COMPUTED), unseen), **dict.fromkeys(PLATES, "accept"), **named}


def _check(feature: str, policy: str) -> None:
    if feature not in FEATURES:
        raise ValueError(f"{feature!r} is no feature that has a policy: {', '.join(FEATURES)}")
    if policy not in POLICIES:
        raise ValueError(f"{feature} must be one of {', '.join(POLICIES)}, not {policy!r}")
    if policy == "normalise" and feature in COMPUTED:
        raise ValueError(f"{feature} is computed: accept or reject it")
