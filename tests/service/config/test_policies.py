"""SCORING_GUARDS as text."""

import pytest

from service.config.guard_policies import Policy, parse

_CATEGORIES = ("camera_type", "camera_class", "regno_template", "regno_template_ai")
_CHARACTERS, _LENGTHS = "afts_regno_ai_char_scores", "afts_regno_ai_length_scores"


def _default(policy: Policy) -> dict[str, Policy]:
    return {f"unseen-category:{feature}": policy for feature in _CATEGORIES}


@pytest.mark.parametrize("unseen", ["accept", "normalise", "reject"])
def test_the_default_is_for_categories_but_not_for_those_of_the_calendar(unseen: Policy) -> None:
    assert parse("", unseen) == _default(unseen)


@pytest.mark.parametrize(
    ("text", "policies"),
    [
        ("camera_type = accept, ", {"unseen-category:camera_type": "accept"}),
        ("regno_recognize=normalise", {"lookalike-letters:regno_recognize": "normalise"}),
        ("month=reject", {"unseen-category:month": "reject"}),
        ("unseen-category:weekday=reject", {"unseen-category:weekday": "reject"}),
        (
            f"{_CHARACTERS}=reject",
            {f"out-of-range:{_CHARACTERS}": "reject", f"length-mismatch:{_CHARACTERS}": "reject"},
        ),
        # A warning's own name goes before that of its field, whatever the order.
        (
            f"length-mismatch:{_LENGTHS}=accept,{_LENGTHS}=reject",
            {f"out-of-range:{_LENGTHS}": "reject", f"length-mismatch:{_LENGTHS}": "accept"},
        ),
        ("out-of-range:regno_recognize=reject", {"out-of-range:regno_recognize": "reject"}),
        ("time_check=reject", {"implausible-time:time_check": "reject"}),
        ("readings-agree=reject", {"readings-agree": "reject"}),
    ],
)
def test_a_name_is_that_of_a_warning_or_of_what_it_is_about(
    text: str, policies: dict[str, Policy]
) -> None:
    assert parse(text, "reject") == {**_default("reject"), **policies}


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("camera_klass=reject", "camera_klass"),
        ("camera_type=reject,month=normalise", "month"),
        ("camera_type=ignore", "camera_type"),
        ("camera_type", "camera_type"),
        ("camera_class=accept,camera_class=reject", "camera_class"),
        ("camera_class=accept=reject", "camera_class"),
        ("hour=reject", "hour"),
        ("out-of-range=reject", "out-of-range"),
        ("afts_regno_ai_char_scores=normalise", "afts_regno_ai_char_scores"),
        ("out-of-range:regno_recognize=normalise", "out-of-range:regno_recognize"),
        ("readings-agree=normalise", "readings-agree"),
        ("time_check=normalise", "time_check"),
    ],
)
def test_a_bad_one_is_named(text: str, feature: str) -> None:
    with pytest.raises(ValueError, match=feature):
        parse(text)
