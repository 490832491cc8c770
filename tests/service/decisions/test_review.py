"""The review queue: which case comes next, to whom, what becomes of answers, and agreement."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

from model import catalog
from model.regno import golden
from service.config.settings import Settings
from service.decisions import feedback, review
from service.decisions.agreement import agreement
from service.decisions.decision import Decision
from service.decisions.log import DecisionLog
from service.decisions.reasons import Explained, Reasons
from service.decisions.review import NotHeld, ReviewQueue, comparison_of
from tests.support.decisions import REGNO, decision, opened

READINGS = golden.readings()


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    made = DecisionLog(tmp_path / "log")
    yield made
    made.close()


@pytest.fixture
def make_queue(log: DecisionLog, clock: Clock) -> Iterator[Callable[..., ReviewQueue]]:
    """Makes a queue of the log, with all in it that it has now; no case goes to two people."""
    made = []

    def make(second_share: float = 0.0) -> ReviewQueue:
        queue = ReviewQueue(log, clock=clock, second_share=second_share)
        made.append(queue)
        while queue.take_in():
            pass
        return queue

    yield make
    for queue in made:
        queue.close()


def add(log: DecisionLog, *decisions: Decision) -> None:
    log.append([opened(log, one) for one in decisions])


def like(number: int, reading: int, **changed: object) -> Decision:
    """A manual decision on one of the golden readings, at a time of its own."""
    request = decision(reading).request
    return decision(number, time=1_800_000_000.0 + number, request=request, **changed)


def asked(queue: ReviewQueue, reviewer: str, times: int = 99) -> list[int]:
    """The cases that a reviewer gets, each of which they answer."""
    found: list[int] = []
    while len(found) < times and (case := queue.next(reviewer)):
        found.append(case.entry)
        queue.answer(reviewer, case.entry, "network")
    return found


def test_manual_decisions_and_audit_draws_are_one_queue_and_no_others(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue]
) -> None:
    drawn = {"audited": True, "audit_probability": 0.5}
    add(
        log,
        *(like(number, 0, decision=side, **draw) for number, (side, draw) in enumerate(
            [("camera", {}), ("manual", {}), ("network", drawn), ("network", {}), ("manual", drawn)]
        )),
    )  # fmt: skip
    assert asked(make_queue(), "ann") == [1, 2, 4]


def test_like_cases_come_together_and_the_oldest_waits_for_a_bounded_time(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "RUN", 3)
    kinds = (0, 1, 0, 1, 0, 0, 0)
    likenesses = {REGNO.comparison(READINGS[kind]).likeness for kind in kinds}
    assert len(likenesses) == 2
    add(log, *(like(number, kind) for number, kind in enumerate(kinds)))
    assert asked(make_queue(), "ann") == [0, 2, 4, 1, 3, 5, 6]


def test_a_case_is_held_by_one_reviewer_until_the_lease_ends(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue], clock: Clock
) -> None:
    add(log, like(0, 0), like(1, 0))
    queue, other = make_queue(), make_queue()
    first, second = queue.next("ann"), other.next("bob")
    assert first
    assert second
    assert (first.entry, second.entry) == (0, 1)
    assert queue.next("ann") == first, "asked again, it is the same case"
    assert queue.next("eve") is None
    with pytest.raises(NotHeld):
        other.answer("bob", 0, "camera")
    clock.now += review.LEASE_SECONDS + 1
    freed = queue.next("eve")
    assert freed == first
    with pytest.raises(NotHeld):
        queue.answer("ann", 0, "camera")
    queue.answer("eve", 0, "camera")
    other.answer("bob", 1, "network")
    assert [queue.next(name) for name in ("ann", "bob", "eve")] == [None, None, None]


def test_a_late_answer_counts_if_nobody_has_taken_the_case(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue], clock: Clock
) -> None:
    add(log, like(0, 0))
    queue = make_queue()
    assert queue.next("ann")
    clock.now += review.LEASE_SECONDS + 1
    queue.answer("ann", 0, "neither")
    with pytest.raises(NotHeld):
        queue.answer("ann", 0, "neither")
    assert queue.figures().answered == {"ann": 1}


def test_an_answer_to_what_is_no_decision_is_not_taken(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue]
) -> None:
    with log.locked():
        log.note("access", key="ann")
    queue = make_queue()
    queue.take_in()
    with pytest.raises(NotHeld):
        queue.answer("ann", 0, "camera")


def test_an_answer_to_what_was_forgotten_meanwhile_is_not_taken(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue]
) -> None:
    add(log, like(0, 0))
    queue = make_queue()
    assert queue.next("ann")
    with log.locked():
        log.forget(REGNO.mark(golden.readings()[0].afts_regno_ai))
    with pytest.raises(NotHeld):
        queue.answer("ann", 0, "camera")
    assert not list(log.store.labelled())


def test_a_skipped_case_goes_to_others_and_comes_back_later(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue], clock: Clock
) -> None:
    add(log, like(0, 0))
    queue = make_queue()
    assert queue.next("ann")
    queue.skip("ann", 0)
    assert queue.next("ann") is None
    case = queue.next("bob")
    assert case is not None
    with pytest.raises(NotHeld):
        queue.skip("ann", 0)
    clock.now += review.SKIP_SECONDS + 1
    assert queue.next("ann") == case


def test_an_answer_is_feedback_in_the_log_by_the_name_of_the_key(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue]
) -> None:
    add(log, like(0, 0))
    assert asked(make_queue(), "ann") == [0]
    (said,) = feedback.about(log, log.find("request-0"))
    assert (said.outcome, said.source) == ("network", "ann")
    assert [(row.request_id, outcome) for row, outcome in log.store.labelled()] == [
        ("request-0", "network")
    ]
    add(log, like(1, 0))
    queue = make_queue()
    with pytest.raises(feedback.Unusable):
        queue.answer("ann", 2, "maybe")
    assert queue.figures().waiting == 1, "nothing of what failed is kept"


def test_a_second_answer_comes_from_somebody_else(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue]
) -> None:
    add(log, *(like(number, 0) for number in range(3)))
    queue = make_queue(second_share=1.0)
    assert asked(queue, "ann") == [0, 1, 2]
    assert (queue.figures().waiting, queue.figures().again) == (0, 3)
    assert queue.next("ann") is None
    for index, outcome in enumerate(("network", "network", "camera")):
        case = queue.next("bob")
        assert case
        assert case.entry == index
        queue.answer("bob", index, outcome)
    figures = queue.figures()
    assert (figures.again, figures.answered) == (0, {"ann": 3, "bob": 3})
    assert figures.agreement
    assert (figures.agreement.cases, figures.agreement.share) == (3, 2 / 3)
    assert asked(queue, "eve") == []


def test_a_tenth_of_the_cases_is_for_two_reviewers(
    log: DecisionLog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter((0.0, 0.5, 0.0999, 0.1, 0.9))
    monkeypatch.setattr(review, "random", lambda: next(draws))
    add(log, *(like(number, 0) for number in range(5)))
    queue = ReviewQueue(log, clock=clock)
    queue.take_in()
    assert asked(queue, "ann") == [0, 1, 2, 3, 4]
    assert asked(queue, "bob") == [0, 2]
    queue.close()


def test_a_reviewer_who_looks_again_keeps_the_case_for_longer(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue], clock: Clock
) -> None:
    add(log, like(0, 0))
    queue = make_queue()
    for _ in range(3):
        clock.now += review.LEASE_SECONDS - 1
        assert queue.next("ann")
        assert queue.next("bob") is None


def test_a_damaged_decision_is_asked_of_nobody(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue]
) -> None:
    add(log, like(0, 0), like(1, 0), like(2, 0))
    queue = make_queue()
    (path,) = (log.folder / "archive").iterdir()
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    add(log, like(3, 0))
    assert asked(queue, "ann") == [1, 2]
    assert asked(make_queue(), "ann") == [3]


def test_who_gave_a_label_elsewhere_settles_a_case(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue]
) -> None:
    add(log, like(0, 0), like(1, 0))
    queue = make_queue()
    label = feedback.Label("request-0", 0, "camera", "", "court")
    feedback.add(log, [feedback.feedback_of(log, label)])
    queue.take_in()
    assert asked(queue, "ann") == [1]


def test_what_was_forgotten_or_has_a_later_namesake_is_not_asked(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue]
) -> None:
    add(log, like(0, 0), like(1, 1), like(2, 2), like(2, 3))
    queue = make_queue()
    assert queue.next("ann")
    with log.locked():
        log.forget(REGNO.mark(READINGS[0].afts_regno_ai))
        log.store.forget([1])  # as the log is before it has noted what it forgot
    assert queue.figures().waiting == 4
    with pytest.raises(NotHeld):  # a label would be the later one's
        queue.answer("bob", 2, "camera")
    assert asked(queue, "ann") == [3]
    queue.take_in()
    assert queue.figures().waiting == 0


def test_the_file_has_no_plate_and_no_character_of_one(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue]
) -> None:
    add(log, *(like(number, number) for number in range(len(READINGS))))
    queue = make_queue()
    assert len(asked(queue, "ann", 3)) == 3
    queue.close()
    stored = b"".join(path.read_bytes() for path in log.folder.glob("review*"))
    for reading in READINGS:
        assert reading.afts_regno_ai.encode() not in stored
        assert reading.regno_recognize.encode() not in stored


def test_more_than_a_batch_is_taken_in_once(
    log: DecisionLog, make_queue: Callable[..., ReviewQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "_BATCH", 4)
    add(log, *(like(number, 0) for number in range(10)))
    assert make_queue().figures().waiting == 10
    figures = make_queue().figures()
    assert (figures.waiting, figures.oldest) == (10, 1_800_000_000.0)
    assert figures.agreement is None


def test_readings_are_compared_place_by_place() -> None:
    compared = comparison_of(decision(0))
    assert [place.differs for place in compared.places] == [False] * 8 + [True]
    assert compared.places[8].confidence == READINGS[0].afts_regno_ai_char_scores[8]
    assert compared.text == "They differ at place 9, the camera read 6, the network 0."
    assert compared.likeness == "Стационарная: 9"


@pytest.mark.parametrize(
    ("camera", "network", "differing", "text"),
    [
        ("А123ВС77", "А123ВС777", [9], "at place 9, the camera read nothing, the network 7"),
        ("А23ВС77", "А123ВС77", [2], "at place 2, the camera read nothing, the network 1"),
        ("А123ВС77", "", [1, 2, 3, 4, 5, 6, 7, 8], "at 8 of 8 places"),
        ("А123ВС77", "А123ВС77", [], "The readings are equal."),
        ("А" * 900, "Б" * 901, list(range(1, 902)), "at 901 of 901 places"),
    ],
)
def test_readings_of_other_lengths_are_aligned(
    camera: str, network: str, differing: list[int], text: str
) -> None:
    reading = structs.replace(READINGS[0], regno_recognize=camera, afts_regno_ai=network)
    compared = REGNO.comparison(reading)
    assert [at for at, place in enumerate(compared.places, 1) if place.differs] == differing
    assert "".join(place.camera for place in compared.places) == camera
    assert "".join(place.network for place in compared.places) == network
    assert text in compared.text
    assert len(compared.likeness) < 120


@pytest.mark.parametrize(
    ("one", "other", "share", "alpha"),
    [
        # Krippendorff, Computing Krippendorff's alpha-reliability, 2011: examples A and B.
        ("0100000010", "1110010000", 0.6, 0.095),
        ("aabbdcccedda", "babbbccceddd", 0.75, 0.692),
        ("ab", "ab", 1.0, 1.0),
        ("ab", "ba", 0.0, -0.5),
    ],
)
def test_agreement_is_that_of_published_examples(
    one: str, other: str, share: float, alpha: float
) -> None:
    found = agreement(Counter(zip(one, other, strict=True)))
    assert found is not None
    assert found.share == share
    assert found.alpha == pytest.approx(alpha, abs=5e-4)
    assert found.low <= share <= found.high


def test_equal_answers_have_no_alpha_and_none_have_no_agreement() -> None:
    found = agreement({("a", "a"): 3})
    assert found is not None
    assert (found.share, found.alpha) == (1.0, None)
    assert agreement({}) is None


def test_reasons_are_those_of_the_version_that_decided(settings: Settings) -> None:
    entry = catalog.entry("regno")
    assert entry.bundled
    sha256 = REGNO.load(entry.bundled).sha256
    explained = Explained(settings)
    found = explained.of(decision(0, sha256=sha256))
    assert (len(found.network), len(found.camera), found.missing) == (4, 4, "")
    assert found.text.startswith("The network is right with 9.4 %")
    for reason in (*found.network, *found.camera):
        assert ": " not in reason
        assert "favours" not in reason
    other = explained.of(decision(0))
    assert other == Reasons(missing="the version that decided is not there")
