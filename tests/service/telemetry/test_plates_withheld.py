"""Texts from elsewhere lose what looks like a plate, and keep their hashes."""

import re
import uuid
from collections.abc import Callable
from random import Random
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from model.redaction import may_be_plate, redact
from model.regno import RegnoScorer
from tests.support.paths import GOLDEN, lines
from tests.support.plates import KEPT_IDS, PLATES, WITHHELD_IDS
from tests.support.vacuous import nonempty

_PLATES = [
    *("А939НО196", "а939но196", "A939HO196", "X777XX799", "x777xx799", "Х777ХХ", "А123ВС77"),
    *("АВ12377", "АВ1234777", "1234АВ77", "А1234ВС", "АВ123С77", "ТАВ12377", "А123477"),
    *("1234А77", "123А77", "123CD123", "123D12345", "123Т1234", "AB12377", "1234AB77"),
    *("A 939 HO 196", "А-939-НО-196", "X_777_XX_799", "Ж12Щ9Ы", "я000ъы000"),
]
_OTHERS = [
    *(
        "",
        "regno-sim-a1233957",
        "digits-a123bc77",
        "sha256-3f2a9c0d1e4b",
        "2026-11-21T07:04:20.297Z",
        "POST /reg",
    ),
    *("7f3a0c2b9d8e4f60a1b2c3d4e5f60718", "а это просто слова", "pid 1234567", "127.0.0.1:5000"),
    *("service/routes/reg.py", "RegRoute._single", "Worker exiting (pid: 6894)", "0.8689166903"),
    *("gunicorn 27.0.1", "UnicodeDecodeError", "cp1251", "key-1", "trace-42", "1e999"),
]


@pytest.mark.parametrize("plate", _PLATES)
def test_a_plate_is_taken_out_of_a_text(plate: str) -> None:
    assert redact(f"can't read {plate}, not a number") == "can't read [plate], not a number"
    assert redact(f"'{plate}'") == "'[plate]'"
    assert redact(f"{plate}_{plate}") == "[plate]_[plate]"
    assert may_be_plate(plate)


@pytest.mark.parametrize("plate", [plate for plate in _PLATES if plate.isalnum()])
def test_a_plate_with_blanks_between_its_characters_is_taken_out(plate: str) -> None:
    spaced = " ".join(plate)
    assert redact(spaced) == "[plate]"
    assert redact(f"could not convert string to float: '{spaced}'") == (
        "could not convert string to float: '[plate]'"
    )


@pytest.mark.parametrize("text", ["a b c d e f", "1 2 3 4 5 6 7 8", "а б в г", "x 7 of 1 2 3 4"])
def test_single_characters_that_make_no_plate_are_let_be(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("text", _OTHERS)
def test_what_is_no_plate_is_not_changed(text: str) -> None:
    assert redact(text) == text
    assert not may_be_plate(text)


def test_every_plate_of_the_golden_rows_is_taken_out() -> None:
    read = [line["request"]["regno_recognize"] for line in lines(GOLDEN)]
    whole = [plate for plate in read if len(plate) >= 8]
    assert len(whole) > 100
    assert {redact(plate.strip("_")) for plate in whole} == {"[plate]"}


def test_hashes_and_uuids_are_no_plates() -> None:
    made = [uuid.uuid5(uuid.NAMESPACE_URL, str(number)) for number in range(2000)]
    assert not [name for name in made if may_be_plate(str(name))]
    assert not [name for name in made if may_be_plate(name.hex)]


@pytest.mark.parametrize(
    "client_id",
    ["X777XX799", "trace-X777XX799", "a939ho196", "X-777-XX-799", "id:123321", "123321"],
)
def test_a_request_id_that_may_be_a_plate_or_repeats_the_key_is_replaced(
    client_id: str, client: FlaskClient, key: dict[str, str]
) -> None:
    reply = client.get("/", headers={"X-Request-Id": client_id, **key})
    assert reply.status_code == 200
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"])


@pytest.mark.parametrize(
    "client_id", ["a123bc45-7f3a-4c2b-9d8e-4f60a1b2c3d4", "order-42", "0" * 32]
)
def test_other_request_ids_stay(client_id: str, client: FlaskClient, key: dict[str, str]) -> None:
    headers = {"X-Request-Id": client_id, **key}
    assert client.get("/", headers=headers).headers["X-Request-Id"] == client_id


def test_the_models_version_is_no_plate(scorer: RegnoScorer) -> None:
    assert not may_be_plate(scorer.version)


def test_plates_in_any_form_are_no_request_ids(client: FlaskClient, key: dict[str, str]) -> None:
    for client_id in nonempty(WITHHELD_IDS):
        reply = client.get("/", headers={"X-Request-Id": client_id, **key})
        assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"]), client_id


@pytest.mark.parametrize("usual", KEPT_IDS)
def test_usual_ids_are_no_plates(usual: str) -> None:
    assert not may_be_plate(usual)


_HEX = "0123456789abcdef"
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# How a kind of id is made, and the greatest share of them that may be taken for plates: such an
# id only is not kept.
_KINDS: dict[str, tuple[Callable[[Random], str], float]] = {
    "UUID": (lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4)), 0),
    "UUID in capitals": (lambda r: str(uuid.UUID(int=r.getrandbits(128))).upper(), 0),
    "32 in hex": (lambda r: _word(r, _HEX, 32), 0),
    "64 in hex": (lambda r: _word(r, _HEX, 64), 0),
    "traceparent": (lambda r: f"00-{_word(r, _HEX, 32)}-{_word(r, _HEX, 16)}-01", 0),
    "X-Ray": (lambda r: f"1-{_word(r, _HEX, 8)}-{_word(r, _HEX, 24)}", 0),
    "ULID": (lambda r: f"01{_word(r, _BASE32, 24)}", 0),
    "snowflake": (lambda r: str(r.getrandbits(63)), 0),
    "24 in hex": (lambda r: _word(r, _HEX, 24), 0.005),
    "16 in hex": (lambda r: _word(r, _HEX, 16), 0.06),
    "nanoid": (lambda r: _word(r, f"{_BASE62}_-", 21), 0.015),
    "KSUID": (lambda r: _word(r, _BASE62, 27), 0.02),
}


def _word(random: Random, alphabet: str, length: int) -> str:
    return "".join(random.choices(alphabet, k=length))


@pytest.mark.parametrize("kind", _KINDS)
def test_random_ids_are_hardly_ever_taken_for_plates(kind: str) -> None:
    make, share = _KINDS[kind]
    random = Random(kind)
    taken = sum(may_be_plate(make(random)) for _ in range(3000))
    assert taken <= 3000 * share


_LETTERS = "АВЕКМНОРСТУХ"
_LATIN = "ABEKMHOPCTYX"
_SOUNDS = "AVEKMNORSTUH"
_CASES: list[Callable[[str], str]] = [str.upper, str.lower, str.swapcase]
# As the contract has them, and the old ones; then those with a region, as it is first.
_SHAPES = [
    *("LdddLLdd", "LdddLLddd", "LLddddd", "LLdddddd", "LLddddddd", "ddddLLdd", "ddddLLddd"),
    *("LddddLL", "LLdddLdd", "LLdddLddd", "TLLddddd", "TLLdddddd", "Ldddddd", "Lddddddd"),
    *("ddddLdd", "ddddLddd", "dddLdd", "dddLddd", "dddCDddd", "dddDdddd", "dddTdddddd"),
    *("LLddLLdd", "LLddLLddd"),
]
_REGION_FIRST = [
    *("LdddLL", "ddddLL", "LLddd", "LLdddd", "LLdddL", "TLLddd", "Ldddd", "ddddL", "dddL"),
    *("LLddLL", "dddDddd", "dddTddd", "dddCDd", "dddCDdd"),
]
_SHAPES += [region + shape for shape in _REGION_FIRST for region in ("dd", "ddd")]


def _plate(shape: str, alphabet: str, random: Random) -> str:
    kinds = {"L": alphabet, "d": "0123456789"}
    return "".join(random.choice(kinds.get(symbol, symbol)) for symbol in shape)


# A number in front of it, or behind it after a sign.
_NUMBERS = [("", ""), ("20210801", ""), ("0", ""), ("20210801-", ""), ("", "-1"), ("", ".20210801")]


@pytest.mark.parametrize("case", _CASES)
@pytest.mark.parametrize("shape", _SHAPES)
def test_every_layout_is_withheld_next_to_numbers_and_with_gaps(
    shape: str, case: Callable[[str], str]
) -> None:
    random = Random(shape)
    for _ in range(5):
        # A T with six digits behind a date is a time.
        plate = case(_plate(shape, _LATIN.replace("T", ""), random))
        for gap in ("", *"._:-", ".-"):
            for before, after in _NUMBERS:
                identifier = f"{before}{gap.join(plate)}{after}"
                assert may_be_plate(identifier), identifier
                assert "[plate]" in redact(f"id {identifier}!"), identifier


@pytest.mark.parametrize(
    "gap", ["/", ",", ", ", "–", "—", "*", "|", "\N{NO-BREAK SPACE}", "\u200b", "="]
)
@pytest.mark.parametrize("shape", _SHAPES)
def test_any_sign_may_be_a_gap_in_a_text(shape: str, gap: str) -> None:
    plate = _plate(shape, _LETTERS, Random(shape))
    groups = re.sub(r"(?<=\d)(?=[^\d])|(?<=[^\d])(?=\d)", lambda _: gap, plate)
    if gap != ", ":
        assert re.findall(r"\d", redact(f"'{gap.join(plate)}' it is")) == []
    assert re.findall(r"\d{2}", redact(f"'{groups}' it is")) == []


_WRONG_ENCODINGS = [("cp1251", "latin-1"), ("cp1251", "cp1252"), ("utf-8", "latin-1")]


@pytest.mark.parametrize(("written", "read"), [*_WRONG_ENCODINGS, ("utf-8", "cp1251")])
@pytest.mark.parametrize("plate", ["А939НО196", "а939но196", "М 777 АС 77", "196/А939НО"])
def test_plates_in_a_wrong_encoding_are_taken_out_of_a_text(
    plate: str, written: str, read: str
) -> None:
    misread = plate.encode(written).decode(read)
    assert redact(f"no float: '{misread}'") == "no float: '[plate]'"


@pytest.mark.parametrize("text", ["Å 123 is no plate", "à 939 m", "12 345 MB", "1234567 ms", "é1"])
def test_letters_with_accents_and_units_are_no_plates(text: str) -> None:
    assert redact(text) == text


@st.composite
def _written(draw: st.DrawFn, alphabets: tuple[str, ...], gaps: str) -> str:
    """A plate of any layout, by letters of one alphabet, in any case, with gaps anywhere."""
    alphabet = draw(st.sampled_from(alphabets))
    plate = ""
    for symbol in draw(st.sampled_from(_SHAPES)):
        kinds = {"L": alphabet, "d": "0123456789"}
        character = draw(st.sampled_from(kinds.get(symbol, symbol)))
        plate += draw(st.sampled_from(("", "", *gaps))) + character
    return draw(st.sampled_from(_CASES))(plate.lstrip(gaps))


@given(_written((_LATIN, _SOUNDS), "._:-"), st.sampled_from(("", "req-", "7f-", "2026-11-29-")))
def test_no_plate_is_an_id(plate: str, before: str) -> None:
    assert may_be_plate(before + plate)


@given(_written((_LETTERS, _LATIN), "._:-"))
def test_no_plate_is_left_in_a_text(plate: str) -> None:
    left = redact(f"can't read '{plate}' (1)")
    assert "[plate]" in left
    digits = "".join(re.findall(r"\d", left))
    assert digits == "1"


_ODD_FORMS = {
    "spaced": "А 9 3 9 Н О 1 9 6",
    "spaced in Latin": "A 9 3 9 H O 1 9 6",
    "spaced and misread": "Е 6 0 1 С В 7 _",
    "percent": quote("А939НО196"),
    "percent, small": quote("а939но196").lower(),
    "percent twice": quote(quote("А939НО196")),
    "digits too": "%41%39%33%39%48%4F%31%39%36",
    "full width": "Ａ９３９ＨＯ１９６",
    "full-width digits": "А９３９НО１９６",
    "other digits": "А٩٣٩НО١٩٦",
    "as JSON has it": "\\u0410939\\u041d\\u041e196",
    "as bytes are shown": "\\xd0\\x90939\\xd0\\x9d\\xd0\\x9e196",
    "region first": "196 A939HO",
    "blanks": "1234 ab 77",
    "blanks and capitals": "TAX 12377",
    "foreign": "AA 1234 BB",
    "percent and u": "%u0410939%u041d%u041e196",
    "slashes": "А/939/НО/196",
    "commas": "А,939,НО,196",
    "dashes": "А–939–НО–196",
    "misread": "À939ÍÎ196",
}


@pytest.mark.parametrize("form", _ODD_FORMS)
def test_other_forms_of_a_plate_are_taken_out_of_a_text(form: str) -> None:
    assert redact(f"no float: '{_ODD_FORMS[form]}'") == "no float: '[plate]'"


@pytest.mark.parametrize("plate", PLATES)
def test_a_plate_is_taken_out_of_an_address(plate: str) -> None:
    assert redact(f"/cars?plate={plate}&x=1") == "/cars?plate=[plate]&x=1"
    assert redact(f"'{plate.swapcase()}'") == "'[plate]'"


# What the service and its libraries log: numbers between words, ids, addresses.
_MESSAGES = [
    "Booting worker with pid: 123456",
    "Worker (pid:1234567) was sent SIGKILL! Perhaps out of memory?",
    "Listening at: http://127.0.0.1:5000,http://10.20.30.40:9100 (12345)",
    "Version regno-a12c4567b890 serves instead of sha256-1234567ab890",
    "Version v286 is refused, regno-sim-a1233957 stays: 92 of 1911 rows are decided differently",
    "a row takes 3.2 times as long (245 µs after 102; at most 3 times)",
    "Internal error KeyError in request 1234ab7712c45678a90b1234ab77cd12 at routes/reg.py:123 post",
    "12345 requests were refused with 429: full 1234, deadline 567, array 89, explain 1",
    "moved from 1234 to 56 in 78 s, by 123 or 45",
    "<HTTPSConnection object at 0x7cd222486cb4> timed out (connect timeout=60)",
    "2026-11-29T07:04:20.297Z [123456] Handling signal: hup at 12345",
]


@pytest.mark.parametrize("message", _MESSAGES)
def test_messages_without_plates_are_let_be(message: str) -> None:
    assert redact(message) == message


def test_what_is_no_plate_keeps_its_own_form() -> None:
    for text in ("100%41 of ﬁve", "\\u0410 and \\xd0", "½ of 3 ㎏"):
        assert redact(text) == text
