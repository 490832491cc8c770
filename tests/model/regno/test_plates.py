"""Plate formats: first match on the whole string wins."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.regno.plates import FORMATS, category

_EXAMPLES = {
    "private car": ["А123ВС77", "А123ВС777", "Я000ЪЫ000"],
    " lk_taxi_r_pricep": ["АВ12377", "АВ123777"],
    "lk_pricep_r_transit": ["АВ1234777"],
    "lk_moto_tract": ["1234АВ77", "1234АВ777"],
    "some": ["А1234ВС"],
    "lk_transit": ["АВ123С77", "АВ123С777"],
    "lk_export": ["TАВ12377", "TАВ123777", "ТАВ12377", "ТАВ123777"],
    "lk_mvd_avto": ["А123477", "А1234777"],
    "lk_mvd_moto": ["1234А77", "1234А777"],
    "lk_mvd_pricep": ["123А77", "123А777"],
    "lk_diplomat": [
        *("123CD123", "123СD1234", "123D12345", "123T123456", "123Т1234"),
        *("123D123", "123D123456", "123CD123456"),
    ],
    "unknown": ["", " ", "А123ВС7", "А123ВС7777", "А123ВС77 ", " А123ВС77", "а123вс77", "АВ1234"],
}
_ALL = [(name, reading) for name, readings in _EXAMPLES.items() for reading in readings]


def test_every_format_has_an_example() -> None:
    assert set(_EXAMPLES) == {name for name, _ in FORMATS} | {"unknown"}
    assert len(FORMATS) == 11


@pytest.mark.parametrize(("name", "reading"), _ALL)
def test_a_reading_has_its_format(name: str, reading: str) -> None:
    assert category(reading) == name


@pytest.mark.parametrize(("name", "reading"), _ALL)
def test_a_trailing_newline_spoils_every_format(name: str, reading: str) -> None:
    del name
    assert category(reading + "\n") == "unknown"


@pytest.mark.parametrize("reading", ["Ё123ВС77", "А123ВЁ77", "А123ЁС77", "ё123вс77"])
def test_yo_is_no_letter_of_a_plate(reading: str) -> None:
    assert category(reading) == "unknown"


@pytest.mark.parametrize("reading", ["A123ВС77", "А123BС77", "А123ВC77", "АB12377", "1234AВ77"])
def test_latin_look_alikes_are_no_letters_of_a_plate(reading: str) -> None:
    assert category(reading) == "unknown"


@pytest.mark.parametrize("reading", ["А١٢٣ВС٧٧", "А123ВС૭૭૭", "А𝟙𝟚𝟛ВС77", "А123ВС77"])
def test_any_decimal_digit_of_unicode_is_a_digit(reading: str) -> None:
    assert category(reading) == "private car"


@pytest.mark.parametrize("reading", ["А²23ВС77", "А123ВСⅦ7", "А½23ВС77"])
def test_numerals_that_are_no_decimal_digits_are_none(reading: str) -> None:
    assert category(reading) == "unknown"


@pytest.mark.parametrize(
    ("reading", "first", "later"),
    [
        ("АВ123456", " lk_taxi_r_pricep", "lk_pricep_r_transit"),
        ("123Т123", "lk_mvd_pricep", "lk_diplomat"),
    ],
)
def test_the_first_format_that_matches_wins(reading: str, first: str, later: str) -> None:
    patterns = dict(FORMATS)
    assert re.fullmatch(patterns[first], reading)
    assert re.fullmatch(patterns[later], reading)
    assert category(reading) == first


def test_a_mobile_letter_t_of_both_alphabets_exports() -> None:
    assert category("T" + "АВ12377") == category("Т" + "АВ12377") == "lk_export"


@given(st.text(alphabet="АВТЯЁTCDС0123456789\n", max_size=10))
def test_one_look_agrees_with_trying_each_format_in_turn(reading: str) -> None:
    tried = (name for name, pattern in FORMATS if re.fullmatch(pattern, reading))
    assert category(reading) == next(tried, "unknown")
