"""Names that are written otherwise, and names that are taken for one another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.regno.plates import TWINS, has_lookalikes, in_cyrillic
from model.regno.review.spelling import nearest, respelt

KNOWN = ("Астра-Трафик", "Стрелка", "Стрелка-360", "Стрелка-М", "Стрелка-Плюс", "Стрит Фалькон")


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("стрелка", "Стрелка"),
        (" СТРЕЛКА\t", "Стрелка"),
        ("CTPEЛKA", "Стрелка"),  # all of its Latin letters look Cyrillic
        ("Стрелка-M", "Стрелка-М"),
        ("СтритФалькон", "Стрит Фалькон"),
        ("Стрит\u00a0фалькон", "Стрит Фалькон"),
        ("Стрелка", "Стрелка"),
        ("Стрелка М", None),
        ("Стрелка-36О", None),
        ("Стрелки", None),
        ("", None),
        ("Стрелка" + " " * 100, None),
    ],
)
def test_only_case_spaces_and_lookalikes_may_differ(value: str, known: str | None) -> None:
    assert respelt(value, KNOWN) == known


def test_what_may_be_two_names_is_neither() -> None:
    assert respelt("СТРЕЛКА", ("Стрелка", "стрелка")) is None


@given(st.sampled_from(KNOWN), st.data())
def test_any_such_spelling_of_a_known_name_is_found(name: str, data: st.DataObject) -> None:
    latin = {twin: letter for letter, twin in TWINS.items()}
    for at, letter in enumerate(name):
        forms = [letter, letter.upper(), letter.lower(), latin.get(letter.upper(), letter)]
        name = name[:at] + data.draw(st.sampled_from(forms)) + name[at + 1 :]
    assert respelt(data.draw(st.sampled_from(("", " "))) + name + " ", KNOWN) in KNOWN


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("Астра Трафик", "Астра-Трафик"),
        ("Aстpa-тpaфик2", "Астра-Трафик"),
        ("Стрелка-М1", "Стрелка-М"),
        ("Стрелко", "Стрелка"),
        ("Кордон", None),
        ("", None),
        ("С" * 101, None),
    ],
)
def test_the_nearest_name_is_given_if_one_is_near(value: str, known: str | None) -> None:
    assert nearest(value, KNOWN) == known


def test_latin_letters_of_a_plate_become_cyrillic_capitals() -> None:
    assert in_cyrillic("A939HO196") == "А939НО196"
    assert in_cyrillic("a939ho196") == "А939НО196"
    assert in_cyrillic("Q123b?") == "Q123b?"


@given(st.text(alphabet="ABEKMHOPCTYXabDQАВЕ0123456789", max_size=12))
def test_nothing_that_looks_cyrillic_is_left_and_no_character_comes_or_goes(reading: str) -> None:
    written = in_cyrillic(reading)
    assert len(written) == len(reading)
    assert not has_lookalikes(written)
