"""A shadow model scores live rows too; replies to callers do not change."""

import logging
import random
import time
from asyncio import Runner
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import inf
from typing import Any

import msgspec
import pytest

from model.regno import Reading, RegnoScorer, Score
from model.regno.request import from_fields
from service.config.settings import Settings
from service.scoring.shadow import ROWS, TIME_SHARE, Shadow
from service.telemetry.metrics.shadow import BOUNDS, DIRECTIONS
from tests.support import toys
from tests.support.parts import AppMaker, parts_of
from tests.support.paths import GOLDEN, lines
from tests.support.planted import PLATE
from tests.support.shadow_harness import KEY, ShadowHarness

BODIES = [line["request"] for line in lines(GOLDEN)]
MANY_ROWS = 500


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> RegnoScorer:
    """Another model, of two features and a few trees."""
    model = toys.train(toys.NUMERIC_PAIR)
    return RegnoScorer.load(toys.save(model, tmp_path_factory.mktemp("second")))


HarnessMaker = Callable[..., ShadowHarness]


@pytest.fixture
def make_harness(
    make_app: AppMaker, second: RegnoScorer, settings: Settings
) -> Iterator[HarnessMaker]:
    """Makes an app with a shadow model; takes settings, whether callers wait, and the model."""
    runner = Runner()

    def make(
        *, busy: bool = False, scorer: RegnoScorer = second, kept: bool = True, **changed: Any
    ) -> ShadowHarness:
        app = make_app(metrics_kept=kept)
        slot, metrics = parts_of(app).slot, parts_of(app).metrics
        shadow = Shadow(
            scorer,
            msgspec.structs.replace(settings, **changed),
            metrics.shadow,
            live_version=lambda: slot.current.version,
            busy=lambda: busy,
        )
        return ShadowHarness(app.test_client(), shadow, runner)

    with runner:
        yield make


def readings(bodies: Sequence[dict[str, Any]]) -> list[Reading]:
    return [from_fields(**body) for body in bodies]


def flip(old: Score, new: Score) -> str | None:
    if (old.positive > 0.5) == (new.positive > 0.5):
        return None
    return "to_network" if new.positive > 0.5 else "to_camera"


@pytest.mark.parametrize("form", ["single", "rows", "table"])
def test_differences_and_flips_are_exact(
    make_harness: HarnessMaker, scorer: RegnoScorer, second: RegnoScorer, form: str
) -> None:
    app = make_harness()
    bodies = BODIES if form != "table" else (BODIES * MANY_ROWS)[:MANY_ROWS]
    for body in bodies if form == "single" else [bodies]:
        app.post(body)
    app.compared()

    live, shadow = scorer.score(readings(bodies)), second.score(readings(bodies))
    places = [
        bisect_left(BOUNDS, new.positive - old.positive)
        for old, new in zip(live, shadow, strict=True)
    ]
    bounds = (*BOUNDS, inf)
    assert app.counted("scoring_shadow_difference_bucket") == {
        ("+Inf" if bound == inf else str(bound),): count
        for place, bound in enumerate(bounds)
        if (count := sum(other <= place for other in places))
    }
    known = scorer.groups
    classes = [name if (name := body["camera_class"]) in known else "other" for body in bodies]
    flips = Counter(
        (name, side)
        for name, old, new in zip(classes, live, shadow, strict=True)
        if (side := flip(old, new))
    )
    assert {side for _, side in flips} == set(DIRECTIONS)
    assert app.counted("scoring_shadow_flips_total") == flips
    assert app.counted("scoring_shadow_compared_rows_total") == Counter(zip(classes, strict=True))
    assert app.rows() == {"scored": len(bodies)}


def test_classes_that_the_live_model_never_saw_share_one_label(make_harness: HarnessMaker) -> None:
    app = make_harness()
    for number in range(3):
        app.post({**BODIES[0], "camera_class": f"Новая-{number}"})
    app.compared()
    assert app.counted("scoring_shadow_compared_rows_total") == {("other",): 3}


def test_what_has_no_score_is_not_compared(make_harness: HarnessMaker) -> None:
    app = make_harness()
    app.post([BODIES[0], {**BODIES[1], "direction": None}, BODIES[2]])
    assert app.client.post("/reg/", json={}, headers=KEY).status_code == 400
    app.compared()
    assert app.rows() == {"scored": 2}


def test_everything_is_there_at_0_before_it_happens(make_app: AppMaker) -> None:
    registry = parts_of(make_app()).metrics.registry
    for name, labels in (
        ("scoring_shadow_rows_total", {"result": "failed"}),
        ("scoring_shadow_rows_total", {"result": "dropped"}),
        ("scoring_shadow_flips_total", {"camera_class": "other", "direction": "to_camera"}),
        ("scoring_shadow_flips_total", {"camera_class": "Стрелка-М", "direction": "to_network"}),
        ("scoring_shadow_compared_rows_total", {"camera_class": "Стрелка-М"}),
        ("scoring_shadow_difference_bucket", {"le": "-0.1"}),
        ("scoring_shadow_queue_rows", {}),
    ):
        assert registry.get_sample_value(name, labels) == 0


def test_where_no_metrics_are_kept_none_are_counted(make_harness: HarnessMaker) -> None:
    app = make_harness(kept=False)
    app.post(BODIES)
    app.compared()
    assert app.rows() == {}
    assert app.counted("scoring_shadow_difference_bucket") == {}


@pytest.mark.parametrize("room", [1, 5, ROWS + 1])
def test_the_queue_keeps_its_bound_and_the_rest_is_dropped(
    make_harness: HarnessMaker, room: int
) -> None:
    app = make_harness(shadow_queue_rows=room)
    app.post((BODIES * MANY_ROWS)[:MANY_ROWS])
    assert app.shadow.waiting <= room
    app.compared()
    assert app.counted("scoring_shadow_queue_rows") == {}
    rows = app.rows()
    assert room <= rows["scored"] < room + ROWS
    assert rows == {"scored": rows["scored"], "dropped": MANY_ROWS - rows["scored"]}


@pytest.mark.parametrize(
    ("share", "least", "most"), [(0.0, 0, 0), (0.25, 200, 300), (1.0, 1000, 1000)]
)
def test_a_share_is_picked(
    make_harness: HarnessMaker, scorer: RegnoScorer, share: float, least: int, most: int
) -> None:
    app = make_harness(shadow_share=share)
    random.seed(7)
    (reading,) = readings(BODIES[:1])
    (score,) = scorer.score([reading])

    def offer() -> None:
        for _ in range(1000):
            app.shadow.offer(reading, score, scorer.version)

    app.call(offer)
    picked = app.shadow.waiting
    assert least <= picked <= most
    app.compared()
    assert app.rows() == ({"scored": picked} if picked else {})


def test_while_callers_wait_all_rows_are_dropped(make_harness: HarnessMaker) -> None:
    app = make_harness(busy=True)
    app.post(BODIES)
    assert app.shadow.waiting == len(BODIES)
    app.compared()
    assert app.rows() == {"dropped": len(BODIES)}


def test_a_shadow_model_that_fails_is_counted_and_reported_once(
    make_harness: HarnessMaker,
    second: RegnoScorer,
    scorer: RegnoScorer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_readings: Sequence[Reading]) -> list[Score]:
        raise RuntimeError(PLATE)

    app = make_harness()
    monkeypatch.setattr(second, "score", fail)
    with caplog.at_level(logging.INFO):
        for count in (1, 2):
            replies = app.post(BODIES)
            app.compared()
            assert app.rows() == {"failed": count * len(BODIES)}
    wanted = [score.positive for score in scorer.score(readings(BODIES))]
    assert [reply["positive"] for reply in replies] == wanted
    (message,) = caplog.messages
    assert "RuntimeError" in message
    assert f"shadow model {second.version}" in message
    assert PLATE not in message


def test_it_goes_on_after_a_failure(
    make_harness: HarnessMaker, second: RegnoScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_harness()
    with monkeypatch.context() as broken:
        broken.setattr(second, "score", None)
        app.post(BODIES[0])
        app.compared()
    app.post(BODIES[0])
    app.compared()
    assert app.rows() == {"failed": 1, "scored": 1}


def test_scores_of_a_version_that_no_longer_serves_are_not_compared(
    make_harness: HarnessMaker, second: RegnoScorer
) -> None:
    app = make_harness()
    app.post(BODIES)
    slot = app.parts.slot
    slot.change(slot.prepare(second))
    app.post(BODIES[:2])
    app.compared()
    assert app.rows() == {"dropped": len(BODIES), "scored": 2}
    assert app.counted("scoring_shadow_flips_total") == {}


def test_a_closed_one_drops_what_waits_and_takes_no_more(make_harness: HarnessMaker) -> None:
    app = make_harness()
    app.post(BODIES)
    app.shadow.close()
    app.post(BODIES)
    app.run(0.2)
    assert app.shadow.waiting == 0
    assert app.rows() == {"dropped": len(BODIES)}


def test_a_slow_model_gets_fewer_rows_at_once_and_little_time(
    make_harness: HarnessMaker, second: RegnoScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[float, int, float]] = []
    whole = second.score

    def slow(rows: Sequence[Reading]) -> list[Score]:
        began = time.monotonic()
        time.sleep(len(rows) * 3e-4)
        scores = whole(rows)
        calls.append((began, len(rows), time.monotonic() - began))
        return scores

    monkeypatch.setattr(second, "score", slow)
    app = make_harness()
    app.post((BODIES * 100)[:100])
    app.compared()
    assert [rows for _, rows, _ in calls[:3]] == [ROWS, ROWS // 2, ROWS // 4]
    for (began, _, took), (then, _, _) in pairwise(calls):
        assert then - (began + took) >= min(1, took * (1 / TIME_SHARE - 1))
    assert app.rows() == {"scored": 100}


def test_its_version_is_that_of_its_model(make_harness: HarnessMaker, second: RegnoScorer) -> None:
    assert make_harness().shadow.version == second.version


def test_the_second_model_is_another_one(scorer: RegnoScorer, second: RegnoScorer) -> None:
    """Else all of the above would prove little."""
    assert second.version != scorer.version
    rows = readings(BODIES)
    assert not {s.positive for s in second.score(rows)} & {s.positive for s in scorer.score(rows)}
