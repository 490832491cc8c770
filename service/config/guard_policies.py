"""SCORING_GUARDS: the policies of single warnings, over the default of SCORING_UNSEEN.

A warning is named as in `X-Score-Warnings`, or by the feature or field that it is about. The names
stand here too, and not only in `model`: settings are read before it is imported.
"""

from typing import Final, Literal, TypeAlias, cast

Policy: TypeAlias = Literal["accept", "normalise", "reject"]

POLICIES: Final = ("accept", "normalise", "reject")
# Clients send these categories; the others are computed, so that there is nothing to respell.
SENT: Final = ("camera_type", "camera_class")
COMPUTED: Final = ("regno_template", "regno_template_ai")
# No new value of these is a reason to doubt a reading: they are judged only where named.
CALENDAR: Final = ("weekday", "month")
PLATES: Final = ("regno_recognize", "afts_regno_ai")
LISTS: Final = ("afts_regno_ai_char_scores", "afts_regno_ai_length_scores")

# The warnings that a feature or field stands for: a plate's own policy is for its letters.
_ABOUT: Final = {
    **{name: (f"unseen-category:{name}",) for name in (*SENT, *COMPUTED, *CALENDAR)},
    **{name: (f"lookalike-letters:{name}",) for name in PLATES},
    **{name: (f"out-of-range:{name}", f"length-mismatch:{name}") for name in LISTS},
    "time_check": ("implausible-time:time_check",),
}
WARNINGS: Final = (
    *(warning for warnings in _ABOUT.values() for warning in warnings),
    *(f"out-of-range:{name}" for name in PLATES),
    "readings-agree",
)
_NORMALISABLE: Final = tuple(_ABOUT[name] for name in (*SENT, *PLATES))


def parse(text: str, unseen: Policy = "accept") -> dict[str, Policy]:
    """The policy of each warning that has one, from `name=policy` pairs separated by commas.

    `unseen` is that of the categories that are not named, but for the calendar's. A warning's own
    name goes before that of what it is about. Raises ValueError, naming the name.
    """
    named: dict[str, Policy] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, policy = map(str.strip, pair.partition("="))
        _check(name, policy)
        if name in named:
            raise ValueError(f"{name} is named twice")
        named[name] = cast("Policy", policy)
    default = {_ABOUT[name][0]: unseen for name in (*SENT, *COMPUTED)}
    about = {warning: policy for name, policy in named.items() for warning in _ABOUT.get(name, ())}
    single = {name: policy for name, policy in named.items() if name in WARNINGS}
    return default | about | single


def _check(name: str, policy: str) -> None:
    if name not in _ABOUT and name not in WARNINGS:
        names = ", ".join((*_ABOUT, *WARNINGS))
        raise ValueError(f"{name!r} is neither a warning nor what one is about: {names}")
    if policy not in POLICIES:
        raise ValueError(f"{name} must be one of {', '.join(POLICIES)}, not {policy!r}")
    if policy == "normalise" and _ABOUT.get(name, (name,)) not in _NORMALISABLE:
        raise ValueError(f"{name} can't be normalised: accept or reject it")
