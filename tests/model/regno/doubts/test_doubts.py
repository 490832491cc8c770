"""Which readings are doubtful, one by one and as columns."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.regno import PLATES, WARNINGS, RegnoScorer, columns_of
from model.regno.doubts import finder as module
from model.regno.doubts.finder import Doubts, latest_day, usual_lengths
from model.regno.doubts.ranges import ANY
from model.regno.plates import agree
from model.regno.request import from_fields
from tests.support.paths import GOLDEN, lines
from tests.support.strategies import requests

Fields = dict[str, Any]
_CHARACTERS, _LENGTHS = "afts_regno_ai_char_scores", "afts_regno_ai_length_scores"
_NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
_LIST = [*[1e-9] * 9, 1.0, 1e-9]
_USUAL: Fields = {
    "regno_recognize": "А939НО196",
    "afts_regno_ai": "А939НО190",
    "recognition_accuracy": 6.4,
    "afts_regno_ai_score": 0.87,
    _CHARACTERS: [0.99] * 9,
    _LENGTHS: _LIST,
    "camera_type": "Стационарная",
    "camera_class": "Астра-Трафик",
    "time_check": "2021-08-01 09:02:59",
    "direction": 0,
}


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", lambda: _NOON)


def _warnings(scorer: RegnoScorer, change: Fields) -> list[str]:
    reading = from_fields(**(_USUAL | change))
    row = scorer.row(reading)
    warnings = scorer.warnings(reading, row)
    columns = columns_of([reading])
    counts = scorer.count_warnings(columns, scorer.table.of_columns(columns))
    assert counts == dict.fromkeys(warnings, 1), "as columns they are the same"
    return warnings


def test_a_usual_reading_has_none(scorer: RegnoScorer) -> None:
    assert _warnings(scorer, {}) == []


# As a client writes them whose decimals have commas: "0,99" is read as 0 and 99.
_COMMAS = (
    "[0,9998925924301147, 0,9999872446060181, 0,9999798536300659, 0,9999990463256836, "
    "0,9988356232643127, 0,9998175501823425, 1,0, 0,999994158744812, 0,8702163696289062]"
)


@pytest.mark.parametrize(
    ("scores", "kinds"),
    [
        (_COMMAS, ["out-of-range", "length-mismatch"]),
        ("[0,99, 0,98, 0,97]", ["out-of-range", "length-mismatch"]),
        # Each within 0 to 1, but twice as many.
        ("[1,0, 1,0, 1,0, 1,0, 1,0, 1,0, 1,0, 1,0, 1,0]", ["length-mismatch"]),
        ([0.9] * 8 + [1.1], ["out-of-range"]),
        ([-0.001] + [0.9] * 8, ["out-of-range"]),
        ([99.0] * 9, ["out-of-range"]),
        ([0.9] * 8, ["length-mismatch"]),
        ([0.9] * 10, ["length-mismatch"]),
        ([0.0], ["length-mismatch"]),
        # None are given, which the contract provides for.
        ([], []),
        ("[]", []),
        # A hair above, by single precision.
        ([1.0000001] * 9, []),
        ([0, 1, 0, 1, 0, 1, 0, 1, 0], []),
        ([-0.0] * 9, []),
    ],
)
def test_confidences_of_characters(scores: object, kinds: list[str], scorer: RegnoScorer) -> None:
    warnings = [f"{kind}:{_CHARACTERS}" for kind in kinds]
    assert _warnings(scorer, {_CHARACTERS: scores}) == warnings


@pytest.mark.parametrize(
    ("scores", "kinds"),
    [
        ([*_LIST[:-1], 1.5], ["out-of-range"]),
        # Below all, so that the greatest, which is the feature, does not tell.
        ([-1e-3, *_LIST[1:]], ["out-of-range"]),
        ("[0,1, 0,2]", ["out-of-range", "length-mismatch"]),
        (_LIST * 2, ["length-mismatch"]),
        (_LIST[:10], ["length-mismatch"]),
        ([*_LIST, 0.0], ["length-mismatch"]),
        ([1.0], ["length-mismatch"]),
        ([], []),
    ],
)
def test_confidences_of_lengths(scores: object, kinds: list[str], scorer: RegnoScorer) -> None:
    warnings = [f"{kind}:{_LENGTHS}" for kind in kinds]
    assert _warnings(scorer, {_LENGTHS: scores}) == warnings


def test_a_list_without_the_length_of_the_reading(scorer: RegnoScorer) -> None:
    ten, eleven = "001CD12345", "001CD123456"
    for plate, warnings in ((ten, []), (eleven, [f"length-mismatch:{_LENGTHS}"])):
        change = {"afts_regno_ai": plate, _CHARACTERS: [0.9] * len(plate)}
        assert _warnings(scorer, change) == warnings


def test_another_network_has_another_number_of_lengths() -> None:
    reading = from_fields(**(_USUAL | {_LENGTHS: [0.1] * 13}))
    assert Doubts(ANY, 13).of(reading) == []
    assert Doubts(ANY, 11).of(reading) == [f"length-mismatch:{_LENGTHS}"]


@pytest.mark.parametrize(
    ("sizes", "usual"), [([13, 11, 13, 0, 0, 0], 13), ([11], 11), ([0, 0], 11), ([], 11)]
)
def test_what_is_usual_is_what_most_lists_hold(sizes: list[int], usual: int) -> None:
    assert usual_lengths(np.array(sizes, dtype=int)) == usual


@pytest.mark.parametrize(
    ("time_check", "implausible"),
    [
        ("0001-01-01T00:00:00", True),
        ("1900-01-01", True),
        ("1970-01-01 00:00:00", True),
        ("1989-12-31 23:59:59", True),
        ("1990-01-01 00:00:00", False),
        ("2021-08-01T09:02:59Z", False),
        ("2026-11-29 23:59:59", False),
        # Tomorrow: it may be that east of here.
        ("2026-11-30 23:59:59+14:00", False),
        ("2026-12-01", True),
        ("2099-01-01", True),
        ("9999-12-31 23:59:59.999999", True),
    ],
)
def test_times_of_no_reading(time_check: str, implausible: bool, scorer: RegnoScorer) -> None:  # noqa: FBT001
    expected = ["implausible-time:time_check"] if implausible else []
    assert _warnings(scorer, {"time_check": time_check}) == expected


def test_tomorrow_is_that_of_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    for moment, latest in (
        (datetime(2026, 11, 29, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)),
        (datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)),
        (datetime(2028, 2, 28, tzinfo=UTC), datetime(2028, 2, 29, tzinfo=UTC)),
    ):
        monkeypatch.setattr(module, "time", moment.timestamp)
        assert latest_day() == latest.toordinal()


@pytest.mark.parametrize(
    ("camera", "network", "alike"),
    [
        ("А939НО196", "А939НО196", True),
        ("A939HO196", "А939НО196", True),  # Latin letters
        ("а939но196", "А939НО196", True),
        ("a939ho196", "А939НО196", True),
        ("b001bb77", "В001ВВ77", True),
        (" А 939 НО\t196 ", "А939НО196", True),
        ("", "", True),
        ("", " ", True),
        ("А939НО196", "А939НО190", False),
        ("А939НО196", "", False),
        ("А939Н0196", "А939НО196", False),  # a zero
        ("D939HO196", "А939НО196", False),
    ],
)
def test_readings_of_one_plate(
    camera: str, network: str, alike: bool, scorer: RegnoScorer  # noqa: FBT001
) -> None:  # fmt: skip
    assert agree(camera, network) == agree(network, camera) == alike
    change = {"regno_recognize": camera, "afts_regno_ai": network, _CHARACTERS: []}
    assert ("readings-agree" in _warnings(scorer, change)) == alike


def test_months_and_weekdays_are_no_unseen_categories() -> None:
    scorer = RegnoScorer.load()
    assert scorer.manifest
    scorer.manifest.vocabularies |= {"month": ["January"], "weekday": []}
    assert _warnings(scorer, {}) == []
    assert {"month", "weekday"}.isdisjoint(scorer.watched_categories)
    row = scorer.row(from_fields(**_USUAL))
    assert scorer.unseen_in_calendar(row) == ["weekday", "month"]


_SCORER = RegnoScorer.load()


@given(st.lists(requests(st.floats(-0.5, 1.5)), min_size=1, max_size=8))
@settings(max_examples=200)
def test_columns_have_the_warnings_of_their_rows(bodies: list[Fields]) -> None:
    readings = [from_fields(**body) for body in bodies]
    columns = columns_of(readings)
    one_by_one = Counter(
        warning for r in readings for warning in _SCORER.warnings(r, _SCORER.row(r))
    )
    assert _SCORER.count_warnings(columns, _SCORER.table.of_columns(columns)) == one_by_one


def test_all_warnings_but_those_of_categories_are_listed() -> None:
    fields = {warning.partition(":")[2] for warning in WARNINGS}
    assert fields == {*PLATES, _CHARACTERS, _LENGTHS, "time_check", ""}
    assert len(WARNINGS) == len(set(WARNINGS)) == 10


def test_the_rows_of_the_contract_warn_for_reasons(scorer: RegnoScorer) -> None:
    """They are odd on purpose: 93 lists are one shorter or two longer than their reading."""
    requests = [line["request"] for line in lines(GOLDEN)]
    counts = Counter(w for r in requests for w in _warnings(scorer, r))
    assert counts == {
        "unseen-category:camera_type": 104,
        "unseen-category:camera_class": 61,
        "lookalike-letters:regno_recognize": 27,
        "lookalike-letters:afts_regno_ai": 30,
        "out-of-range:regno_recognize": 30,
        "out-of-range:afts_regno_ai": 29,
        "length-mismatch:afts_regno_ai_char_scores": 93,
        "readings-agree": 67,
    }


def test_the_customers_rows_have_no_warning(
    conformance: list[Fields], scorer: RegnoScorer, customer_scorer: RegnoScorer
) -> None:
    customers = [line["request"] for line in conformance if line["request"] not in _GOLDEN]
    assert len(customers) == 100
    for served in (scorer, customer_scorer):
        assert [_warnings(served, request) for request in customers] == [[]] * 100


_GOLDEN = [line["request"] for line in lines(GOLDEN)]
