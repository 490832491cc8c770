"""Shapes as data, and the schedules that they give."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from loadgen.common import schedule
from loadgen.common.errors import BadFile
from loadgen.load import limits, shapes
from loadgen.load.shapes import Stage

LEVEL = Stage(4, 50.0)
UP = Stage(10, 100.0, start=0.0)


def test_the_shapes_that_the_makefile_names_are_there() -> None:
    assert {
        "smoke",
        "ramp500",
        "soak",
        "spike",
        "knee",
        "hold",
        "jobs",
        "digits",
        "queries",
    } <= set(shapes.read())


def test_smoke_lasts_20_seconds_and_ramp500_holds_500_for_a_minute() -> None:
    assert shapes.named("smoke").seconds == 20
    (held,) = [stage for stage in shapes.named("ramp500").stages if stage.judged]
    assert (held.rate, held.seconds, held.start) == (500, 60, None)


def test_the_spike_is_five_times_the_rate_around_it_for_10_seconds() -> None:
    before, spike, after = (stage for stage in shapes.named("spike").stages if stage.judged)
    assert spike.seconds == 10
    assert spike.rate == 5 * before.rate == 5 * after.rate


def test_the_knee_is_sought_in_steps_that_are_all_judged() -> None:
    knee = shapes.named("knee")
    rates = [stage.rate for stage in knee.stages]
    assert knee.seeks_knee
    assert (rates[0], rates[1], rates[-1]) == (300, 400, 3000)
    assert all(stage.judged for stage in knee.stages)


def test_steps_of_fractions_reach_their_end() -> None:
    rates = [stage.rate for stage in shapes.Steps(start=0.1, to=0.4, by=0.1, seconds=1).stages()]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("name", shapes.read())
def test_every_judged_stage_sends_enough_to_be_judged(name: str) -> None:
    counts = schedule.planned(shapes.named(name).stages)
    stages = zip(shapes.named(name).stages, counts, strict=True)
    least = limits.read()[shapes.named(name).limits].min_requests
    assert min(count for stage, count in stages if stage.judged) >= least


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("seconds = 15, rate = 100,", "seconds = 15, rate = -1,"), r"rate"),
        (("seconds = 15, rate", "second = 15, rate"), r"second"),
        (("rate = 100, judged = true", "rate = 100"), r"no stage is judged"),
        (("to = 3000", "to = 100"), r"steps go up"),
        (("single = 94\narray = 3\nbad = 2\nwrong_key = 1", ""), r"weight above zero"),
        (('limits = "objective"', 'limits = "none"'), r"none"),
        (('limits = "job_test"', 'limits = "objective"'), r"jobs: .*limits of jobs"),
        (('limits = "objective"', 'limits = "job_test"'), r"spike: .*jobs alone"),
        (("job = 95", "job = 95, single = 1"), r"other processes"),
        (('limits = "digit_test"', 'limits = "load_test"'), r"digits: .*pictures alone"),
        (('limits = "objective"', 'limits = "query_test"'), r"spike: .*pictures alone"),
        (("[mix]", "[mix"), r"shapes\.toml"),
        (("by = 100", "by = 0.01"), r"more than 1,000 steps"),
        (("[shape.smoke]", '[shape."a/smoke"]'), r"shape"),
        (("max_cpu = 0.9", "max_cpu = nan"), r"max_cpu"),
        (("timeout_seconds = 10", "timeout_seconds = inf"), r"timeout_seconds"),
    ],
)
def test_a_bad_shape_is_reported_by_file_and_place(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    path = tmp_path / "shapes.toml"
    text = shapes.PATH.read_text(encoding="utf-8")
    assert change[0] in text
    path.write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(BadFile, match=reason):
        shapes.read(path)


def test_an_unknown_shape_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(BadFile, match=r"'ramp', but .*ramp500"):
        shapes.named("ramp")


# Timetables


def test_a_level_rate_is_evenly_spaced() -> None:
    due = list(schedule.due_times([LEVEL]))
    assert len(due) == 200
    assert due == pytest.approx([number / 50 for number in range(200)])


def test_a_ramp_sends_half_as_many_and_ever_faster() -> None:
    due = list(schedule.due_times([UP]))
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert len(due) == 500
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] == pytest.approx(1 / 100, rel=0.01)


def test_a_ramp_down_mirrors_it() -> None:
    due = list(schedule.due_times([Stage(10, 0.001, start=100.0)]))
    assert due[1] == pytest.approx(1 / 100, rel=0.01)
    assert due == sorted(due)
    assert due[-1] < 10


def test_stages_follow_each_other_without_a_gap() -> None:
    stages = [LEVEL, UP, Stage(3, 33.3)]
    due = list(schedule.due_times(stages))
    per_stage = Counter(
        next(n for n, (_, end) in enumerate(schedule.bounds(stages)) if moment < end)
        for moment in due
    )
    assert due == sorted(due)
    assert [per_stage[n] for n in range(3)] == schedule.planned(stages)
    assert sum(schedule.planned(stages)) == len(due)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_several_generators_share_the_whole_without_overlap(count: int) -> None:
    stages = [UP, LEVEL]
    shares = [list(schedule.share_of(stages, index, count)) for index in range(count)]
    together = sorted(ticket for share in shares for ticket in share)
    assert together == list(enumerate(schedule.due_times(stages)))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_rate_that_is_meant_is_known_at_each_moment() -> None:
    stages = [UP, LEVEL]
    moments = {-1: 0, 0: 0, 5: 50, 10: 50, 13.9: 50, 14: 0}
    assert {at: schedule.rate_at(stages, at) for at in moments} == moments
