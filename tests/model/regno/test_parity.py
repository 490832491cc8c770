"""Two models on the same readings: how they differ, and what breaches the limits."""

from collections.abc import Iterator, Sequence
from itertools import cycle, repeat
from math import isnan, nan
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from model.regno import Limits, Parity, Reading, RegnoScorer, Score, compare, golden_readings
from model.regno.evaluation.parity import BLOCK, OTHER, Differences, Flips
from model.regno.request import from_fields
from model.regno.training.simulate import simulate
from tests.support.messages import mentions
from tests.support.toys import save, train


class Clock:
    """Time that passes when a toy scores."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Toy:
    """Scores readings by a list, whose row is the reading's recognition_accuracy."""

    groups = ("Стрелка", "Форсаж")

    def __init__(
        self, version: str, scores: Sequence[float], clock: Clock, costs: Iterator[float]
    ) -> None:
        self.version = version
        self._scores, self._clock, self._costs = scores, clock, costs
        self.calls: list[int] = []

    def score(self, readings: Sequence[Reading]) -> list[Score]:
        self.calls.append(len(readings))
        self._clock.now += next(self._costs) * len(readings)
        result = [self._scores[int(reading.recognition_accuracy)] for reading in readings]
        return [Score(1 - positive, positive) for positive in result]


def _readings(classes: Sequence[str]) -> list[Reading]:
    fields: dict[str, Any] = dict(simulate(1, seed=1)[0].request)
    return [
        from_fields(**{**fields, "camera_class": name, "recognition_accuracy": number})
        for number, name in enumerate(classes)
    ]


def _compared(
    old: Sequence[float], new: Sequence[float], classes: Sequence[str] | None = None
) -> Parity:
    clock = Clock()
    live = Toy("old", old, clock, cycle([3.0, 1.0, 2.0]))
    candidate = Toy("new", new, clock, cycle([6.0, 9.0, 2.5]))
    return compare(live, candidate, _readings(classes or ["Стрелка"] * len(old)), clock)


def test_the_figures_of_four_rows() -> None:
    result = _compared(
        [0.25, 0.75, 0.5, 1.0], [0.75, 0.5, 0.75, 1.0], ["Стрелка", "Стрелка", "Форсаж", "Форсаж"]
    )
    assert (result.live, result.candidate, result.rows, result.unusable) == ("old", "new", 4, 0)
    differences = result.differences
    assert (differences.mean, differences.max, differences.shift) == (0.25, 0.5, 0.125)
    # 2.97 of the 3 steps from the least to the greatest.
    assert differences.p99 == pytest.approx(0.25 + 0.97 * 0.25)
    assert result.flips == Flips(rows=4, to_network=2, to_camera=1)
    assert result.by_camera_class == {
        "Стрелка": Flips(rows=2, to_network=1, to_camera=1),
        "Форсаж": Flips(rows=2, to_network=1, to_camera=0),
    }
    assert (result.flips.count, result.flips.share) == (3, 0.75)


def test_a_class_that_neither_model_knows_is_not_named() -> None:
    result = _compared([0.1] * 3, [0.9] * 3, ["Стрелка", "А001АА77", ""])
    assert result.by_camera_class == {"Стрелка": Flips(1, 1, 0), OTHER: Flips(2, 2, 0)}


def test_the_time_of_a_row_is_that_of_the_best_call() -> None:
    result = _compared([0.5] * 4, [0.5] * 4)
    assert (result.live_seconds, result.candidate_seconds, result.slowdown) == (1.0, 2.5, 2.5)


def test_many_rows_are_scored_in_blocks_and_once() -> None:
    clock, rows = Clock(), 12 * BLOCK + 1
    scores = [number / rows for number in range(101)]
    old, new = (Toy(name, scores, clock, repeat(1.0)) for name in ("old", "new"))
    readings = (_readings(["Стрелка"] * 101) * 6)[:rows]
    result = compare(old, new, readings, clock)
    assert old.calls == new.calls == [*[BLOCK] * 12, 1]
    assert (result.rows, result.flips.count, result.slowdown) == (rows, 0, 1)


def test_a_score_that_is_no_probability_is_a_breach_whatever_the_limits() -> None:
    result = _compared([0.1, 0.1, 0.1, 0.1], [0.2, nan, 1.5, -0.1])
    assert (result.unusable, result.flips.rows) == (3, 1)
    assert result.differences == Differences(0.1, 0.1, 0.1, 0.1)
    lax = Limits(flips=1, flips_in_class=1, mean_difference=1, slowdown=9, least_rows=0)
    (breach,) = result.breaches(lax)
    assert breach.limit == ""
    assert mentions(breach.reason, "3 of 4 rows", "not a probability")


def test_no_usable_row_at_all() -> None:
    result = _compared([0.1, nan], [nan, 0.1])
    assert isnan(result.differences.mean)
    assert result.flips.share == 0
    (breach,) = result.breaches(Limits(slowdown=9))
    assert mentions(breach.reason, "2 of 2 rows", "not a probability")
    assert b'"differences":{"mean":null' in msgspec.json.encode(result)


ROWS = Flips(rows=1000, to_network=40, to_camera=10)
PARITY = Parity(
    live="v1",
    candidate="v2",
    rows=1000,
    unusable=0,
    differences=Differences(mean=0.05, p99=0.4, max=0.9, shift=0.01),
    flips=ROWS,
    by_camera_class={"Стрелка": Flips(100, 20, 0), "Форсаж": Flips(900, 20, 10)},
    live_seconds=30e-6,
    candidate_seconds=60e-6,
    slowdown=2.0,
)
AT = Limits(flips=0.05, flips_in_class=0.2, mean_difference=0.05, slowdown=2.0, least_rows=1000)


def test_what_is_at_a_limit_breaches_nothing() -> None:
    assert PARITY.breaches(AT) == []
    assert PARITY.remarks(AT) == []


@pytest.mark.parametrize(
    ("changed", "facts"),
    [
        (
            {"flips": 0.04},
            ("50 of 1000 rows", "5.0%", "at most 4.0%", "40 for the network", "10 for the camera"),
        ),
        (
            {"flips_in_class": 0.1},
            (
                *("20 of 100 rows", "camera class Стрелка", "20.0%", "at most 10.0%"),
                *("20 for the network", "0 for the camera"),
            ),
        ),
        ({"mean_difference": 0.04}, ("0.0500 on average", "at most 0.04")),
        ({"slowdown": 1.5}, ("2.0 times", "60 µs after 30", "at most 1.5 times")),
    ],
)
def test_each_limit_is_breached_in_text(changed: dict[str, Any], facts: tuple[str, ...]) -> None:
    (limit,) = changed
    (breach,) = PARITY.breaches(msgspec.structs.replace(AT, **changed))
    assert breach.limit == limit
    assert mentions(breach.reason, *facts)


def test_a_class_of_few_rows_has_no_limit() -> None:
    strict = msgspec.structs.replace(AT, flips_in_class=0.1)
    assert PARITY.breaches(msgspec.structs.replace(strict, least_class=101)) == []
    assert len(PARITY.breaches(msgspec.structs.replace(strict, least_class=100))) == 1


def test_few_rows_are_no_breach_but_are_reported() -> None:
    few = msgspec.structs.replace(AT, least_rows=1001)
    assert PARITY.breaches(few) == []
    (remark,) = PARITY.remarks(few)
    assert mentions(remark, "only 1000 rows", "1001")


def test_it_is_written_as_json_and_read_again() -> None:
    text = msgspec.json.encode(PARITY)
    assert msgspec.json.decode(text, type=Parity) == PARITY
    assert msgspec.to_builtins(PARITY)["by_camera_class"]["Форсаж"] == {
        "rows": 900,
        "to_network": 20,
        "to_camera": 10,
    }


def test_a_model_compared_with_itself_differs_in_nothing(scorer: RegnoScorer) -> None:
    readings = [from_fields(**sample.request) for sample in simulate(400, seed=9)]
    result = compare(scorer, scorer, [*readings, *golden_readings()])
    assert result.rows == 416
    assert result.differences == Differences(0, 0, 0, 0)
    assert result.flips == Flips(416, 0, 0)
    assert sum(flips.rows for flips in result.by_camera_class.values()) == 416
    assert set(result.by_camera_class) <= set(scorer.groups)
    assert result.live_seconds > 0
    assert result.slowdown == result.candidate_seconds / result.live_seconds


def test_other_features_and_more_work_are_seen(scorer: RegnoScorer, tmp_path: Path) -> None:
    names = ("hour", "afts_regno_ai_score", "camera_type")
    light = RegnoScorer.load(save(train(names, cat=["camera_type"]), tmp_path))
    result = compare(light, scorer, golden_readings())
    pairs = zip(light.score(golden_readings()), scorer.score(golden_readings()), strict=True)
    gaps = [new.positive - old.positive for old, new in pairs]
    assert result.differences.mean == pytest.approx(sum(map(abs, gaps)) / 16)
    assert result.differences.max == max(map(abs, gaps)) > 0
    assert result.differences.shift == pytest.approx(sum(gaps) / 16)
    slower = structs.replace(result, slowdown=1.6)
    assert any(breach.limit == "slowdown" for breach in slower.breaches(Limits(slowdown=1.5)))
