"""The table's columns are the rows' features, and both score alike to the last bit."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.regno import RegnoScorer
from model.regno.columns.characters import FORMAT_NAMES, Readings, format_codes
from model.regno.columns.table import TableMaker
from model.regno.features import CATEGORICAL, NAMES, TEXT, in_order_of
from model.regno.plates import category
from model.regno.request import LONGEST, Reading, Scores, from_fields
from model.regno.training.simulate import simulate
from tests.support import toys
from tests.support.paths import GOLDEN, lines
from tests.support.strategies import PLATES, requests

KINDS = [
    (name, "categorical" if name in CATEGORICAL else "text" if name in TEXT else "numeric")
    for name in NAMES
]


def _golden() -> list[Reading]:
    return [from_fields(**line["request"]) for line in lines(GOLDEN)]


def _reading(**changed: object) -> Reading:
    return from_fields(**{**lines(GOLDEN)[0]["request"], **changed})


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isnan(one):
        return isinstance(other, float) and isnan(other)
    return one == other and isinstance(one, str) == isinstance(other, str)


def _assert_equal(readings: Sequence[Reading], features: Sequence[tuple[str, str]] = KINDS) -> None:
    names = [name for name, _ in features]
    frame = TableMaker(features).of_readings(readings)
    rows = list(map(in_order_of(names), readings))
    assert list(frame.columns) == names
    for at, name in enumerate(names):
        column = frame[name].tolist()
        wrong = [n for n, row in enumerate(rows) if not _same(row[at], column[n])]
        assert not wrong, name


def _assert_same_scores(scorer: RegnoScorer, readings: Sequence[Reading]) -> None:
    table = scorer.predict_table(scorer.table.of_readings(readings))
    rows = [[score.negative, score.positive] for score in scorer.score(readings)]
    assert table.tolist() == rows


def test_golden_rows() -> None:
    _assert_equal(_golden())


def test_simulated_readings_and_their_scores(scorer: RegnoScorer) -> None:
    readings = [from_fields(**sample.request) for sample in simulate(2000, 5)]
    _assert_equal(readings)
    _assert_same_scores(scorer, readings)


@given(st.lists(requests(), min_size=1, max_size=6))
def test_any_valid_readings(scorer: RegnoScorer, some: list[dict[str, Any]]) -> None:
    readings = [from_fields(**request) for request in some]
    _assert_equal(readings)
    _assert_same_scores(scorer, readings)


ODD: dict[str, dict[str, object]] = {
    "longer than the scores": {"afts_regno_ai": "А001АА77", "afts_regno_ai_char_scores": [0.5]},
    "shorter than the scores": {"afts_regno_ai": "А", "afts_regno_ai_char_scores": [0.5, 0.1]},
    "empty readings": {"afts_regno_ai": "", "regno_recognize": ""},
    "no scores": {"afts_regno_ai_char_scores": [], "afts_regno_ai_length_scores": []},
    "scores beyond 0 to 1": {"afts_regno_ai_char_scores": [-3, 7.5, 1e300, -1e300]},
    "only great scores": {"afts_regno_ai": "00", "afts_regno_ai_char_scores": [2, 3]},
    "scores beneath single precision": {"afts_regno_ai_char_scores": [1e-50, 5e-324]},
    "a symbol twice": {"afts_regno_ai": "0А0", "afts_regno_ai_char_scores": [0.5, 0.1, 0.7]},
    "beyond the basic plane": {"afts_regno_ai": "😀0🚗А", "regno_recognize": "𝟘𝟙𝟚А33"},
    "NUL inside": {"afts_regno_ai": "0\0А", "regno_recognize": "А\0001АА77"},
    "NUL at the end": {"afts_regno_ai": "А001АА77\0", "regno_recognize": "А001АА77\0\0"},
    "only NUL": {"afts_regno_ai": "\0", "regno_recognize": "\0\0\0"},
    "line ends": {"afts_regno_ai": "А\nА", "regno_recognize": "\n", "camera_class": "\n"},
    "very long": {
        "afts_regno_ai": "Х" * 30 + "0" * 70,
        "afts_regno_ai_char_scores": [n / 101 for n in range(101, 1, -1)],
        "regno_recognize": "А001АА77" * 9,
    },
    "long, and a lower score within the matrix": {
        "afts_regno_ai": "0" * 40,
        "afts_regno_ai_char_scores": [0.9, 0.1, *[0.5] * 38],
    },
    "a format with more behind it": {"regno_recognize": "А001АА777" + "7" * 9},
    "other digits": {"regno_recognize": "А٣٣٣АА٧٧", "afts_regno_ai": "٣"},
    "empty categories": {"camera_type": "", "camera_class": ""},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_readings_alone(scorer: RegnoScorer, name: str) -> None:
    readings = [_reading(**ODD[name])]
    _assert_equal(readings)
    _assert_same_scores(scorer, readings)


def test_odd_readings_together(scorer: RegnoScorer) -> None:
    readings = [*_golden(), *(_reading(**changed) for changed in ODD.values())]
    _assert_equal(readings)
    _assert_same_scores(scorer, readings)


def test_the_longest_reading_does_not_widen_the_others() -> None:
    huge = _reading(afts_regno_ai="0" * LONGEST, afts_regno_ai_char_scores=[0.5] * LONGEST)
    _assert_equal([*_golden(), huge])


@given(st.lists(PLATES, min_size=1, max_size=40))
@settings(max_examples=300)
def test_formats_are_those_of_single_readings(readings: list[str]) -> None:
    codes = format_codes(Readings(readings))
    assert [FORMAT_NAMES[code] for code in codes] == list(map(category, readings))


def test_only_declared_features_in_the_declared_order() -> None:
    _assert_equal(_golden(), [("Х", "numeric"), ("month", "categorical"), ("ai_len", "numeric")])


@pytest.mark.parametrize("name", ["direction", "ai_len", "cam_len", "hour"])
def test_whole_numbers_declared_categorical_score_as_in_rows(tmp_path: Path, name: str) -> None:
    model = toys.train([name, "afts_regno_ai_score"], cat=[name], iterations=20)
    scorer = RegnoScorer.load(toys.save(model, tmp_path))
    assert dict(scorer._model.features)[name] == "categorical"
    _assert_same_scores(scorer, _golden())


def test_strings_declared_of_other_kinds_score_as_in_rows(tmp_path: Path) -> None:
    names = ["afts_regno_ai_text", "camera_class", "afts_regno_ai_score"]
    model = toys.train(names, cat=names[:1], text=names[1:2], iterations=20)
    _assert_same_scores(RegnoScorer.load(toys.save(model, tmp_path)), _golden())


def test_many_readings_score_as_few(scorer: RegnoScorer) -> None:
    readings = _golden() * 2
    assert len(readings) == 600
    for some in (readings, readings[:3]):
        assert scorer.score_table(scorer.table.of_readings(some)) == scorer.score(some)


def test_unseen_categories_are_counted_as_row_by_row(scorer: RegnoScorer) -> None:
    readings = [*_golden(), *[_reading(camera_class="Новая", camera_type="?")] * 2]
    counts: dict[str, int] = {}
    for row in scorer.rows(readings):
        for name in scorer.unseen(row):
            counts[name] = counts.get(name, 0) + 1
    assert scorer.unseen_in_table(scorer.table.of_readings(readings)) == counts
    assert counts["camera_class"] >= 2


def test_tuples_of_numbers_are_lists_too() -> None:
    reading = _reading()
    reading.afts_regno_ai_char_scores = Scores((0.25, 0.5))
    _assert_equal([reading])


def test_conformance_rows(conformance: list[dict[str, Any]], customer_scorer: RegnoScorer) -> None:
    readings = [from_fields(**line["request"]) for line in conformance]
    _assert_equal(readings)
    _assert_same_scores(customer_scorer, readings)


def test_each_row_of_a_table_has_its_own_warnings(scorer: RegnoScorer) -> None:
    doubtful = [
        _reading(camera_class="Новая", camera_type="?"),
        _reading(afts_regno_ai=_reading().regno_recognize),
        _reading(camera_class="Новая", afts_regno_ai="M001AA77"),
    ]
    readings = [*_golden(), *doubtful]
    rows = zip(readings, scorer.rows(readings), strict=True)
    expected = [scorer.warnings(reading, row) for reading, row in rows]
    assert scorer.warnings_of(readings, scorer.table.of_readings(readings)) == expected
    assert all(expected[-3:])
