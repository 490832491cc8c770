"""What looks like a plate is taken out of words that come from elsewhere, and hashes are let be."""

import re
import uuid

import pytest
from flask.testing import FlaskClient

from model.regno import RegnoScorer
from service.privacy import may_be_plate, scrub
from tests.support.paths import GOLDEN, lines

_PLATES = [
    *("А939НО196", "а939но196", "A939HO196", "X777XX799", "x777xx799", "Х777ХХ", "А123ВС77"),
    *("АВ12377", "АВ1234777", "1234АВ77", "А1234ВС", "АВ123С77", "ТАВ12377", "А123477"),
    *("1234А77", "123А77", "123CD123", "123D12345", "123Т1234", "AB12377", "1234AB77"),
    *("A 939 HO 196", "А-939-НО-196", "X_777_XX_799", "Ж12Щ9Ы", "я000ъы000"),
]
_OTHERS = [
    *("", "regno-sim-a1233957", "sha256-3f2a9c0d1e4b", "2026-11-21T07:04:20.297Z", "POST /reg"),
    *("7f3a0c2b9d8e4f60a1b2c3d4e5f60718", "а это просто слова", "pid 1234567", "127.0.0.1:5000"),
    *("service/routes/reg.py", "RegRoute._single", "Worker exiting (pid: 6894)", "0.8689166903"),
    *("gunicorn 27.0.1", "UnicodeDecodeError", "cp1251", "key-1", "trace-42", "1e999"),
]


@pytest.mark.parametrize("plate", _PLATES)
def test_a_plate_is_taken_out_of_a_text(plate: str) -> None:
    assert scrub(f"can't read {plate}, it is no number") == "can't read [plate], it is no number"
    assert scrub(f"'{plate}'") == "'[plate]'"
    assert scrub(f"{plate}_{plate}") == "[plate]_[plate]"
    assert may_be_plate(plate)


@pytest.mark.parametrize("plate", [plate for plate in _PLATES if plate.isalnum()])
def test_a_plate_with_blanks_between_its_characters_is_taken_out(plate: str) -> None:
    spaced = " ".join(plate)
    assert scrub(spaced) == "[plate]"
    assert scrub(f"could not convert string to float: '{spaced}'") == (
        "could not convert string to float: '[plate]'"
    )


@pytest.mark.parametrize("text", ["a b c d e f", "1 2 3 4 5 6 7 8", "а б в г", "x 7 of 1 2 3 4"])
def test_single_characters_that_make_no_plate_are_let_be(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("text", _OTHERS)
def test_what_is_no_plate_is_let_be(text: str) -> None:
    assert scrub(text) == text
    assert not may_be_plate(text)


def test_every_plate_of_the_golden_rows_is_taken_out() -> None:
    read = [line["request"]["regno_recognize"] for line in lines(GOLDEN)]
    whole = [plate for plate in read if len(plate) >= 8]
    assert len(whole) > 100
    assert {scrub(plate.strip("_")) for plate in whole} == {"[plate]"}


def test_hashes_and_uuids_are_no_plates() -> None:
    made = [uuid.uuid5(uuid.NAMESPACE_URL, str(number)) for number in range(2000)]
    assert not [name for name in made if may_be_plate(str(name))]
    assert not [name for name in made if may_be_plate(name.hex)]


@pytest.mark.parametrize(
    "given", ["X777XX799", "trace-X777XX799", "a939ho196", "X-777-XX-799", "id:123321", "123321"]
)
def test_a_request_id_that_may_be_a_plate_or_repeats_the_key_is_replaced(
    given: str, client: FlaskClient, key: dict[str, str]
) -> None:
    reply = client.get("/", headers={"X-Request-Id": given, **key})
    assert reply.status_code == 200
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"])


@pytest.mark.parametrize("given", ["a123bc45-7f3a-4c2b-9d8e-4f60a1b2c3d4", "order-42", "0" * 32])
def test_other_request_ids_stay(given: str, client: FlaskClient, key: dict[str, str]) -> None:
    headers = {"X-Request-Id": given, **key}
    assert client.get("/", headers=headers).headers["X-Request-Id"] == given


def test_the_models_version_is_no_plate(scorer: RegnoScorer) -> None:
    assert not may_be_plate(scorer.version)
