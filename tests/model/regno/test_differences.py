"""The twelve features of where the two readings differ: as specified, by row and by table alike."""

from collections.abc import Iterator, Sequence
from math import inf, isnan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from model import ModelRefused, manifests
from model.drift.counter import OTHER
from model.regno import Reading, RegnoScorer
from model.regno import differences as d
from model.regno.columns.table import TableMaker
from model.regno.doubts.finder import named
from model.regno.drift.reference import reference
from model.regno.explain.phrases import phrase
from model.regno.features import KINDS, NAMES, SETS, TEXT, in_order_of
from model.regno.manifest_builder import complete
from model.regno.request import LONGEST, from_fields
from model.regno.training.simulate import simulate
from tests.support import toys
from tests.support.messages import stating
from tests.support.paths import GOLDEN, lines
from tests.support.strategies import FINITE, PLATES

Pair = tuple[str, str]

_BODY = lines(GOLDEN)[0]["request"]
_READINGS = [from_fields(**sample.request) for sample in simulate(900, seed=5)]


def _reading(
    pair: Pair, scores: Sequence[float] = (), lengths: Sequence[float] = (), **changed: object
) -> Reading:
    camera, network = pair
    return from_fields(
        **{
            **_BODY,
            "regno_recognize": camera,
            "afts_regno_ai": network,
            "afts_regno_ai_char_scores": list(scores),
            "afts_regno_ai_length_scores": list(lengths),
            **changed,
        }
    )


def _of(*given: Any) -> dict[str, Any]:
    return dict(zip(d.NAMES, d.of_reading(_reading(*given)), strict=True))


def _specified(a: str, b: str, s: Sequence[float], length: Sequence[float]) -> dict[str, Any]:
    """The table of the specification, sentence by sentence."""
    s, length = s or [0.0], length or [0.0]
    differ = [i for i in range(min(len(a), len(b))) if a[i] != b[i]]
    inside = [s[i] for i in differ if i < len(s)]
    others = [s[i] for i in range(len(s)) if i not in differ]
    product = 1.0
    for score in inside:
        product *= score
    return {
        "diff_count": len(differ),
        "diff_length": abs(len(a) - len(b)),
        "diff_first": differ[0] if differ else -1,
        "diff_last": differ[-1] if differ else -1,
        "diff_min_score": min(inside) if inside else 1,
        # Where an overflow came first it is not a number, but a factor is 0.
        "diff_product_score": 0 if isnan(product) else product,
        "same_min_score": min(others) if others else 1,
        "camera_length_score": length[len(a)] if len(a) < len(length) else 0,
        "network_length_score": length[len(b)] if len(b) < len(length) else 0,
        "diff_pair": a[differ[0]] + b[differ[0]] if differ else "length",
        "camera_tail": a[-3:],
        "network_tail": b[-3:],
    }


@st.composite
def _pairs(draw: st.DrawFn) -> Pair:
    """Two readings, mostly of one plate: equal, with characters replaced, cut off or put in."""
    camera = draw(st.one_of(PLATES, st.text(max_size=40)))
    network = list(camera)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(network)))
        network[at : at + draw(st.integers(0, 2))] = draw(st.text(max_size=2))
    return camera, draw(st.one_of(st.just("".join(network)), PLATES))


_LISTS = st.one_of(st.lists(FINITE, max_size=40), st.lists(st.floats(0, 1), max_size=12))
_GIVEN = st.tuples(_pairs(), _LISTS, _LISTS)


@given(_GIVEN)
@example((("00", "11"), [1e300, 1e300, 0.0], []))
@example((("000", "111"), [1e300, 1e300, 0.0], []))
@example((("А001АА77", "А001АА77"), [], []))
@example((("", ""), [0.5], [0.25]))
def test_each_is_what_the_specification_says(given: tuple[Pair, list[float], list[float]]) -> None:
    (camera, network), scores, lengths = given
    assert _of(*given) == _specified(camera, network, scores, lengths)


# Camera, network, scores, lengths, and what is special about the values.
CASES: dict[str, tuple[tuple[Pair, list[float], list[float]], dict[str, Any]]] = {
    "one character": (
        (("А001АА77", "А007АА77"), [0.9, 0.8, 0.7, 0.5, 0.9, 0.9, 0.9, 0.6], [0.0] * 8 + [0.75]),
        {"diff_count": 1, "diff_length": 0, "diff_first": 3, "diff_last": 3,
         "diff_min_score": 0.5, "diff_product_score": 0.5, "same_min_score": 0.6,
         "camera_length_score": 0.75, "network_length_score": 0.75, "diff_pair": "17",
         "camera_tail": "А77", "network_tail": "А77"},
    ),
    "two characters": (
        (("А001", "В007"), [0.5, 0.9, 0.9, 0.25], []),
        {"diff_count": 2, "diff_first": 0, "diff_last": 3, "diff_pair": "АВ",
         "diff_min_score": 0.25, "diff_product_score": 0.125, "same_min_score": 0.9},
    ),
    "equal readings": (
        (("А001", "А001"), [0.5, 0.9, 0.8, 0.7], [0.1] * 5),
        {"diff_count": 0, "diff_length": 0, "diff_first": -1, "diff_last": -1,
         "diff_min_score": 1, "diff_product_score": 1, "same_min_score": 0.5,
         "diff_pair": "length"},
    ),
    "lengths only": (
        (("А00", "А001"), [0.5] * 4, [0.0, 0.0, 0.0, 0.25, 0.75]),
        {"diff_count": 0, "diff_length": 1, "diff_pair": "length", "camera_length_score": 0.25,
         "network_length_score": 0.75},
    ),
    "an empty list counts as one zero": (
        (("А001", "В007"), [], []),
        {"diff_count": 2, "diff_min_score": 0, "diff_product_score": 0, "same_min_score": 1,
         "camera_length_score": 0, "network_length_score": 0},
    ),
    "the zero of an empty list is elsewhere": (
        (("А001", "А007"), [], []),
        {"diff_min_score": 1, "diff_product_score": 1, "same_min_score": 0},
    ),
    "an empty reading has the length 0": (
        (("", "А"), [0.5], [0.75, 0.25]),
        {"diff_count": 0, "diff_length": 1, "same_min_score": 0.5, "camera_length_score": 0.75,
         "network_length_score": 0.25, "camera_tail": "", "network_tail": "А"},
    ),
    "a list shorter than the readings": (
        (("А001", "А117"), [0.9, 0.8], []),
        {"diff_count": 3, "diff_min_score": 0.8, "diff_product_score": 0.8, "same_min_score": 0.9},
    ),
    "scores beyond the readings are elsewhere": (
        (("0", "1"), [0.9, 0.8, 0.1], [0.3]),
        {"diff_min_score": 0.9, "same_min_score": 0.1, "camera_length_score": 0},
    ),
    "beyond the basic plane": (
        (("😀0🚗А", "😀0🚙А"), [0.9, 0.8, 0.7, 0.6], []),
        {"diff_count": 1, "diff_first": 2, "diff_pair": "🚗🚙", "diff_min_score": 0.7,
         "camera_tail": "0🚗А", "network_tail": "0🚙А"},
    ),
    "combining characters count by themselves": (
        (("И\u0306А", "ЙА"), [0.9, 0.8, 0.7], []),
        {"diff_count": 2, "diff_length": 1, "diff_first": 0, "diff_last": 1, "diff_pair": "ИЙ",
         "diff_product_score": 0.9 * 0.8, "camera_tail": "И\u0306А"},
    ),
    "NUL is a character": (
        (("А\0", "А1\0"), [0.9, 0.5, 0.7], []),
        {"diff_count": 1, "diff_length": 1, "diff_pair": "\x001", "camera_tail": "А\0"},
    ),
    "an overflow": (
        (("000", "111"), [1e200, 1e200, 0.5], []),
        {"diff_product_score": inf, "diff_min_score": 0.5},
    ),
    "an overflow before a zero": (
        (("000", "111"), [1e200, 1e200, 0.0], []),
        {"diff_product_score": 0, "diff_min_score": 0},
    ),
    "products are taken from left to right": (
        (("000", "111"), [1e200, 1e200, 1e-300], []),
        {"diff_product_score": inf},
    ),
    "an underflow": (
        (("000", "111"), [1e-200, 1e-200, 1e300], []),
        {"diff_product_score": 0, "diff_min_score": 1e-200},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    given, expected = CASES[name]
    result = _of(*given)
    assert {feature: result[feature] for feature in expected} == expected


def _assert_equal(readings: Sequence[Reading], names: Sequence[str] = d.NAMES) -> None:
    """Tables hold what rows hold: equal to the last bit, and of the same kinds."""
    features = [(name, KINDS[name]) for name in names]
    table = TableMaker(features).of_readings(readings)
    rows = list(map(in_order_of(names), readings))
    assert list(table.columns) == list(names)
    for at, name in enumerate(names):
        assert table[name].tolist() == [row[at] for row in rows], name


def test_simulated_readings_in_a_table() -> None:
    _assert_equal(_READINGS)


@given(st.lists(_GIVEN, min_size=1, max_size=6))
@settings(max_examples=300)
def test_any_readings_in_a_table(given: list[tuple[Pair, list[float], list[float]]]) -> None:
    _assert_equal([_reading(*each) for each in given])


@pytest.mark.parametrize("name", CASES)
def test_cases_in_a_table(name: str) -> None:
    _assert_equal([_reading(*CASES[name][0])])


def test_readings_of_all_sizes_in_one_table() -> None:
    long = ("А001АА77" * 9, "А001АА77" * 8 + "В001АА77")
    huge = ("0" * LONGEST, "1" * LONGEST)
    sizes = [
        _reading(long, [n / 101 for n in range(101, 1, -1)], [0.5] * 100),
        _reading(("А" * 16, "А" * 15 + "В"), [0.5] * 17),
        _reading(("А" * 17, "А" * 16 + "В"), [0.5] * 16),
        _reading(("А" * 17, "А" * 15 + "В"), [0.5] * 15),
        _reading(huge, [0.5] * LONGEST, [0.5] * LONGEST),
        _reading(("0", "1"), [0.5] * LONGEST),
    ]
    cases = [_reading(*given) for given, _ in CASES.values()]
    _assert_equal([*_READINGS[:50], *sizes, *cases, *_READINGS[50:60]])


def test_feature_sets_are_the_41_the_53_and_those_without_texts() -> None:
    assert SETS["v1"] == NAMES
    assert SETS["v2"] == (*NAMES, *d.NAMES)
    assert SETS["v2-notext"] == tuple(name for name in SETS["v2"] if name not in TEXT)
    assert [len(names) for names in SETS.values()] == [41, 53, 51]


@pytest.mark.parametrize("names", [d.NAMES[4:5], SETS["v2"][::-1], ("Х", "diff_pair", "hour")])
def test_rows_and_tables_follow_the_order_that_is_wanted(names: Sequence[str]) -> None:
    reading = _READINGS[0]
    values = dict(zip(d.NAMES, d.of_reading(reading), strict=True))
    row = in_order_of(names)(reading)
    assert [value for name, value in zip(names, row, strict=True) if name in values] == [
        values[name] for name in names if name in values
    ]
    _assert_equal(_READINGS[:20], [name for name in names if name != "foreign_sym"])


def test_a_model_that_declares_none_of_them_does_not_pay_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(_: Reading) -> list[Any]:
        raise AssertionError

    monkeypatch.setattr(d, "of_reading", forbidden)
    assert len(in_order_of(NAMES)(_READINGS[0])) == 41
    with pytest.raises(AssertionError):
        in_order_of(("hour", "diff_count"))(_READINGS[0])


_CATEGORIES = tuple(name for name in SETS["v2"] if KINDS[name] == "categorical")


@pytest.mark.parametrize(
    ("names", "cat", "text"),
    [
        (("diff_min_score",), (), ()),
        (("network_tail",), ("network_tail",), ()),
        (("diff_first", "hour", "diff_count"), ("diff_first", "diff_count"), ()),
        (("diff_pair", "Х", "network_tail"), ("network_tail",), ("diff_pair",)),
        (SETS["v2"], _CATEGORIES, TEXT),
        (SETS["v2-notext"][::-1], _CATEGORIES, ()),
    ],
    ids=["one", "one category", "whole numbers as categories", "text", "all", "no text, reversed"],
)
def test_any_selection_in_any_order_scores_as_catboost_does(
    names: Sequence[str], cat: Sequence[str], text: Sequence[str], tmp_path: Path
) -> None:
    # Texts of one word have no pairs of words, which CatBoost's own dictionaries ask for.
    options = {
        "dictionaries": [{"dictionary_id": "Word", "occurrence_lower_bound": "1"}],
        "feature_calcers": ["BoW"],
    }
    model = toys.train(names, cat=cat, text=text, iterations=20, **options)
    scorer = RegnoScorer.load(toys.save(model, tmp_path), warm=True)
    readings = [from_fields(**line["request"]) for line in lines(GOLDEN)]
    expected = model.predict(toys.pool(names, cat, text), prediction_type="Probability").tolist()
    scores = scorer.score(readings)
    assert [[score.negative, score.positive] for score in scores] == expected
    assert scorer.score_table(scorer.table.of_readings(readings)) == scores
    assert len({score.positive for score in scores}) > 1


@pytest.fixture(scope="module")
def differing(tmp_path_factory: pytest.TempPathFactory) -> RegnoScorer:
    """The scorer of a small model of all 53 features."""
    model = toys.train(SETS["v2"], cat=_CATEGORIES, text=TEXT, iterations=20)
    return RegnoScorer.load(toys.save(model, tmp_path_factory.mktemp("v2")))


def test_categories_made_of_readings_are_never_unseen(differing: RegnoScorer) -> None:
    new = _reading(("Ы001ЫЫ00", "Щ001ЩЩ01"), [0.5] * 8)
    assert not set(d.CATEGORICAL) & {*differing.watched_categories}
    assert differing.unseen(differing.row(new)) == []
    table, counts = differing.table_of([new])
    assert differing.unseen_in_table(table) == {}
    warnings = [named("unseen-category", name) for name in d.CATEGORICAL]
    assert not set(warnings) & {*counts, *differing.warnings(new, differing.row(new))}


def _describe(path: Path, **changed: object) -> None:
    """Write a manifest of a model file, with these fields."""
    described = complete(RegnoScorer.load(path), path)
    manifests.write(structs.replace(described, **changed), path.with_name(manifests.FILE_NAME))


@pytest.mark.parametrize("name", d.CATEGORICAL)
def test_a_manifest_lists_no_known_values_of_them(name: str, tmp_path: Path) -> None:
    path = toys.save(toys.train([name, "hour"], cat=[name]), tmp_path)
    _describe(path, vocabularies={name: ["А77"]})
    with pytest.raises(ModelRefused, match=stating("vocabularies: ", f"{name} ", "read")):
        RegnoScorer.load(path)


def test_rare_values_of_them_share_a_bin() -> None:
    tails = ["777"] * 60 + ["А77"] * 39 + ["В99"]
    rows = [(tail, "a" if tail == "В99" else "b", 1.0) for tail in tails * 2]
    names = ["network_tail", "camera_class", "diff_count"]
    tail, camera_class, *_ = reference(names, rows, [0.5] * len(rows), {})
    assert (tail.values, tail.shares) == (["777", "А77", "В99"], [0.6, 0.39, 0.01, 0.0])
    rarer = [*rows, *rows, ("С77", "c", 1.0)]
    tail, camera_class, *_ = reference(names, rarer, [0.5] * len(rarer), {})
    assert tail.bins == ["777", "А77", OTHER]
    assert camera_class.values == ["a", "b", "c"]


def test_what_has_rare_values_only_has_no_bins() -> None:
    rows = [(f"{number:03}", 1.0) for number in range(200)]
    (count, score) = reference(["camera_tail", "diff_count"], rows, [0.5] * 200, {})
    assert (count.name, score.name) == ("diff_count", "positive")


def test_drift_counts_rows_and_tables_alike(differing: RegnoScorer, tmp_path: Path) -> None:
    names = list(SETS["v2"])
    rows = differing.rows(_READINGS[:500])
    positives = [score.positive for score in differing.predict(rows)]
    variables = reference(names, rows, positives, dict.fromkeys(names, 1.0))
    assert {v.name for v in variables} == {*names, "positive"} - {*TEXT, "foreign_sym"}
    path = toys.save(differing._model._model, tmp_path)
    _describe(path, reference=variables)
    scorer = RegnoScorer.load(path, warm=True)
    by_rows, by_table = scorer.drift_counter(), scorer.drift_counter()
    by_rows.add_rows(rows, positives)
    by_table.add_table(scorer.table.of_readings(_READINGS[:500]), positives)
    counts = by_rows.take()
    assert counts == by_table.take()
    assert {name for name, _ in counts} == {variable.name for variable in variables}


@pytest.fixture(scope="module")
def explained(differing: RegnoScorer) -> Iterator[list[Any]]:
    """The explanations of some readings."""
    explainer = differing.explainer()
    rows = differing.rows(_READINGS[:20])
    yield differing.explained(rows, explainer, 60)
    explainer.close()


def test_explanations_hold_them_and_add_up(differing: RegnoScorer, explained: list[Any]) -> None:
    rows = differing.rows(_READINGS[:20])
    assert len(explained) == 20
    for row, score, result in zip(rows, differing.predict(rows), explained, strict=True):
        values = dict(zip(SETS["v2"], row, strict=True)) | {"foreign_sym": None}
        assert {each.feature: each.value for each in result.features} == values
        total = result.base + sum(each.contribution for each in result.features)
        assert total == pytest.approx(result.raw, rel=1e-9, abs=1e-9)
        assert result.positive == score.positive


def test_no_text_of_an_explanation_holds_a_plate(explained: list[Any]) -> None:
    assert len(explained) == 20
    for reading, result in zip(_READINGS[:20], explained, strict=True):
        text = result.text + "".join(each.text for each in result.features)
        assert reading.regno_recognize not in text
        assert reading.afts_regno_ai not in text


@pytest.mark.parametrize(
    ("feature", "value", "expected"),
    [
        ("diff_count", 2, "the number of characters in which the readings differ is 2"),
        ("diff_length", 1, "the lengths of the readings differ by 1"),
        ("diff_first", 0, "the readings differ first at character 1"),
        ("diff_first", -1, "the readings differ at no character"),
        ("diff_last", 7, "the readings differ last at character 8"),
        ("diff_min_score", 0.5, "the network's least confidence where the readings differ is 0.5"),
        ("diff_product_score", 1, "the network's confidence in all differing characters is 1"),
        ("same_min_score", 0.98765, "the network's least confidence elsewhere is 0.9877"),
        ("camera_length_score", 0, "the network's confidence in the camera's length is 0"),
        ("network_length_score", 0.9, "the network's confidence in its own length is 0.9"),
        ("diff_pair", "17", "where they first differ, the camera read 1 and the network 7"),
        ("diff_pair", "length", "the readings differ in their length at most"),
        ("camera_tail", "А77", "the camera's reading ends in А77"),
        ("network_tail", "", "the network read nothing"),
    ],
)
def test_each_has_a_phrase(feature: str, value: float | str, expected: str) -> None:
    assert phrase(feature, value) == expected
