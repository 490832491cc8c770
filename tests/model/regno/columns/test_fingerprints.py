"""Fingerprints: rows and tables have the same, and other features have others."""

from hypothesis import given
from hypothesis import strategies as st

from model.regno import RegnoScorer
from model.regno.request import Reading, from_fields
from tests.support.paths import GOLDEN, lines
from tests.support.strategies import requests

SCORER = RegnoScorer.load()
# By hashlib and struct from the first golden row, as the module's docstring says.
EXPECTED = "0926350a7761e6d0ccb90c194899e1722d506b70e6f67138118a12635b027407"


def _reading(**changed: object) -> Reading:
    return from_fields(**{**lines(GOLDEN)[0]["request"], **changed})


def _fingerprints(*readings: Reading) -> list[str]:
    return SCORER.fingerprints(SCORER.table.of_readings(readings))


@given(st.lists(requests(), min_size=1, max_size=5))
def test_rows_and_tables_have_the_same(fields: list[dict[str, object]]) -> None:
    readings = [from_fields(**each) for each in fields]
    by_row = [SCORER.fingerprint(SCORER.row(reading)) for reading in readings]
    assert _fingerprints(*readings) == by_row


def test_each_golden_row_has_its_own() -> None:
    readings = [from_fields(**line["request"]) for line in lines(GOLDEN)]
    distinct = {tuple(map(str, SCORER.row(reading))) for reading in readings}
    assert len(set(_fingerprints(*readings))) == len(distinct)


def test_a_zero_has_no_sign() -> None:
    one, other = _reading(recognition_accuracy=0.0), _reading(recognition_accuracy=-0.0)
    assert SCORER.fingerprint(SCORER.row(one)) == SCORER.fingerprint(SCORER.row(other))
    assert len(set(_fingerprints(one, other))) == 1


def test_it_is_the_sha_256_of_numbers_and_texts() -> None:
    assert SCORER.fingerprint(SCORER.row(_reading())) == EXPECTED
