"""SCORING_GUARDS in words."""

import pytest

from service.policies import COMPUTED, PLATES, SENT, Policy, parse


def test_without_words_categories_have_the_default_and_plates_are_accepted() -> None:
    choices: tuple[Policy, ...] = ("accept", "normalise", "reject")
    for unseen in choices:
        policies = parse("", unseen)
        assert policies == {
            **dict.fromkeys((*SENT, *COMPUTED), unseen),
            **dict.fromkeys(PLATES, "accept"),
        }


def test_a_named_feature_has_its_own() -> None:
    changed = parse(" camera_type = accept,regno_recognize=normalise, ", "reject")
    expected = {**parse("", "reject"), "camera_type": "accept", "regno_recognize": "normalise"}
    assert changed == expected


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("camera_klass=reject", "camera_klass"),
        ("camera_type=reject,month=normalise", "month"),
        ("camera_type=ignore", "camera_type"),
        ("camera_type", "camera_type"),
        ("camera_class=accept,camera_class=reject", "camera_class"),
        ("camera_class=accept=reject", "camera_class"),
    ],
)
def test_a_bad_one_is_named(text: str, feature: str) -> None:
    with pytest.raises(ValueError, match=feature):
        parse(text)
