"""Who is let in, who waits, who is refused: slots, rooms, deadlines, and what is learnt of it."""

import time
from collections import Counter
from typing import Any

import gevent
import msgspec
import pytest
from flask.testing import FlaskClient
from gevent.event import Event

from service.admission import ARRAY_BYTES, SEEN, Admission, Ticket
from service.errors import Refused
from service.lane import Lane
from service.settings import Settings

SMALL = 700
LARGE = 50_000
SLOTS = 32


class Room:
    """An admission, what it refused, and requests that are in it."""

    def __init__(self, settings: Settings, **changed: Any) -> None:
        settings = msgspec.structs.replace(settings, **changed)
        self.refused: Counter[str] = Counter()
        self.admission = Admission(settings, lambda reason: self.refused.update([reason]))
        self.done: list[int] = []
        self.over = Event()

    def ticket(self, size: int = SMALL, **environ: Any) -> Ticket:
        return self.admission.check(environ, size)

    def hold(self, count: int, size: int = SMALL) -> "list[gevent.Greenlet[..., None]]":
        """So many requests, in slots or waiting for one, until `over`."""
        held = [gevent.spawn(self._hold, number, size) for number in range(count)]
        gevent.idle()
        return held

    def _hold(self, number: int, size: int) -> None:
        with self.ticket(size):
            self.over.wait()
            self.done.append(number)


@pytest.fixture
def room(settings: Settings) -> Room:
    return Room(settings)


def reason_of(room: Room, size: int = SMALL, **environ: Any) -> str:
    before = Counter(room.refused)
    with pytest.raises(Refused) as refused:
        room.ticket(size, **environ)
    assert refused.value.status == 429
    assert refused.value.headers["Retry-After"] in {"1", "2", "3"}
    (reason,) = room.refused - before
    return reason


def test_nobody_is_refused_while_there_are_slots(room: Room) -> None:
    room.hold(SLOTS - 1)
    room.ticket()
    room.ticket(LARGE)
    assert not room.refused


def test_who_waits_is_served_in_turn(room: Room) -> None:
    held = room.hold(SLOTS + 5)
    room.over.set()
    gevent.joinall(held, raise_error=True)
    assert room.done == list(range(SLOTS + 5))


def test_who_leaves_and_comes_again_at_once_waits_like_others(settings: Settings) -> None:
    """A client whose next request is there already must not keep its slot."""
    room = Room(settings)
    began: list[str] = []

    def stay(name: str) -> None:
        for _ in range(3):
            with room.ticket(LARGE):
                began.append(name)
                gevent.sleep(0)

    gevent.joinall([gevent.spawn(stay, name) for name in "abc"], raise_error=True)
    assert "".join(began) == "abc" * 3


def test_a_full_room_refuses(settings: Settings) -> None:
    room = Room(settings, max_waiting=4)
    room.hold(SLOTS + 4)
    assert reason_of(room) == "full"


def test_arrays_give_way_before_single_rows_are_refused(settings: Settings) -> None:
    room = Room(settings, max_waiting=40)
    room.hold(SLOTS + 11)
    assert reason_of(room, LARGE) == "array"
    room.ticket(ARRAY_BYTES)
    assert room.refused == {"array": 1}


def test_arrays_have_a_slot_of_their_own(room: Room) -> None:
    room.hold(3, LARGE)
    assert not room.hold(1)[0].ready()
    assert not room.refused


def test_arrays_that_wait_are_bounded_by_their_bytes(settings: Settings) -> None:
    room = Room(settings, max_array_body=LARGE)
    room.hold(1, 3 * LARGE)  # one may be of any size
    assert reason_of(room, LARGE) == "full"
    room.over.set()
    gevent.idle()
    room.over.clear()
    held = room.hold(2, LARGE)
    assert reason_of(room, ARRAY_BYTES + 1) == "full"
    gevent.killall(held)
    room.ticket(LARGE)


def test_who_killed_in_the_room_leaves_no_slot_taken(room: Room) -> None:
    held = room.hold(SLOTS + 3)
    gevent.killall(held)
    room.hold(SLOTS)
    room.ticket()
    assert not room.refused


def test_who_would_wait_too_long_is_refused_by_the_pace_of_those_before(
    settings: Settings,
) -> None:
    room = Room(settings, max_wait_ms=40)
    slow_moment(room)
    assert room.refused == {"deadline": SLOTS}  # it was too late for those themselves
    room.hold(2 * SLOTS)
    assert reason_of(room) == "deadline"


def slow_moment(room: Room, size: int = SMALL, slots: int = SLOTS) -> None:
    """As many as there are slots wait 0.1 s for them."""
    held = room.hold(2 * slots, size)
    gevent.sleep(0.1)
    room.over.set()
    gevent.joinall(held)
    room.over.clear()


@pytest.mark.parametrize(("size", "slots"), [(SMALL, SLOTS), (4_000, 1)])
def test_a_slow_moment_is_forgotten_though_nobody_waits_to_refute_it(
    settings: Settings, size: int, slots: int
) -> None:
    room = Room(settings, max_wait_ms=20)
    slow_moment(room, size, slots)
    room.hold(slots + slots // 2, size)
    assert reason_of(room, size) == "deadline"
    refusals = 1
    with gevent.Timeout(5):
        while refused_for_now(room, size):
            refusals += 1
            gevent.sleep(0.05)
    assert 10 < refusals < 30  # a second of them


def test_the_first_who_waits_for_a_batch_is_not_taken_for_the_pace() -> None:
    lane = Lane(SLOTS, 128, 1 << 20)
    for _ in range(SLOTS):
        lane.enter(SMALL)
    waiting = [gevent.spawn(lane.enter, SMALL) for _ in range(SLOTS)]
    gevent.sleep(0.1)
    lane.leave(SMALL)
    gevent.joinall(waiting[:1])
    assert 0.05 < lane.wait_ahead < 0.2  # as long as the batch took, not so long for each place
    gevent.killall(waiting)


def refused_for_now(room: Room, size: int) -> bool:
    try:
        room.ticket(size)
    except Refused:
        return True
    return False


def test_one_slow_array_does_not_make_others_seem_slow(room: Room) -> None:
    room.admission.measured(100_000, seconds=60.0)
    room.ticket(4_000_000, HTTP_X_REQUEST_TIMEOUT_MS="1000")
    for _ in range(30):
        room.admission.measured(100_000, seconds=0.2)
    assert reason_of(room, 4_000_000, HTTP_X_REQUEST_TIMEOUT_MS="1000") == "deadline"


def test_short_arrays_tell_nothing_of_long_ones(room: Room) -> None:
    for _ in range(1000):
        room.admission.measured(3_000, seconds=0.01)
    room.ticket(4_000_000, HTTP_X_REQUEST_TIMEOUT_MS="1000")


def test_deadlines_that_can_not_be_met_do_not_make_arrays_seem_quick(room: Room) -> None:
    for _ in range(2000):
        refused_for_deadline(room, 10_000_000)
    assert reason_of(room, 10_000_000, HTTP_X_REQUEST_TIMEOUT_MS="100") == "deadline"
    for _ in range(100):
        room.admission.measured(10_000_000, seconds=1.2)
    assert reason_of(room, 10_000_000, HTTP_X_REQUEST_TIMEOUT_MS="1000") == "deadline"


def refused_for_deadline(room: Room, size: int) -> None:
    with pytest.raises(Refused):
        room.ticket(size, HTTP_X_REQUEST_TIMEOUT_MS="1")


def test_without_a_deadline_the_edges_clock_is_not_heeded(room: Room) -> None:
    """It may be slow by a second, and nobody's wait is that long."""
    with room.ticket(HTTP_X_REQUEST_START=f"t={time.time() - 1:.3f}"):
        pass
    assert not room.refused


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "1.5",
        "soon",
        "",
        "600001",
        "９",
        "99999999999999",
        "0600000000",
        "0000001" + "0" * 5000,
    ],
)
def test_a_deadline_that_is_none_is_a_bad_request(client: FlaskClient, key: Any, text: str) -> None:
    reply = client.post("/reg/", json={}, headers={**key, "X-Request-Timeout-Ms": text})
    assert reply.status_code == 400
    assert "X-Request-Timeout-Ms" in reply.get_json()["body"]


def test_a_reply_that_comes_too_late_is_refused_before_it_is_scored(
    room: Room,
) -> None:
    late: Any = {SEEN: time.time(), "HTTP_X_REQUEST_START": f"t={time.time() - 1:.3f}"}
    assert reason_of(room, HTTP_X_REQUEST_TIMEOUT_MS="500", **late) == "deadline"
    room.ticket(HTTP_X_REQUEST_TIMEOUT_MS="5000", **late)


def test_the_time_that_a_body_takes_to_come_is_not_the_time_it_waits(room: Room) -> None:
    late: Any = {SEEN: time.time() - 10}
    with room.ticket(**late):
        pass
    assert reason_of(room, HTTP_X_REQUEST_TIMEOUT_MS="500", **late) == "deadline"


def test_an_array_that_can_not_be_scored_in_its_time_is_refused(room: Room) -> None:
    assert reason_of(room, 4_000_000, HTTP_X_REQUEST_TIMEOUT_MS="50") == "deadline"
    room.ticket(4_000_000, HTTP_X_REQUEST_TIMEOUT_MS="5000")


@pytest.mark.parametrize("start", ["", "t=soon", "t=nan", "1234", "t=99999999999", "t=1"])
def test_a_start_that_tells_nothing_is_not_heeded(room: Room, start: str) -> None:
    room.ticket(HTTP_X_REQUEST_TIMEOUT_MS="100", HTTP_X_REQUEST_START=start)


def test_callers_wait_when_all_slots_are_taken_and_one_more_comes(settings: Settings) -> None:
    admission = Admission(settings, lambda _reason: None)
    leave = gevent.event.Event()

    def stay() -> None:
        with admission.check({}, 100):
            leave.wait()

    inside: list[Any] = []
    crowded: list[bool] = []
    while not admission.busy:
        inside.append(gevent.spawn(stay))
        gevent.sleep(0)
        crowded.append(admission.crowded)
    inside.append(gevent.spawn(stay))
    gevent.sleep(0)
    crowded.append(admission.crowded)
    leave.set()
    gevent.joinall(inside, raise_error=True)
    assert crowded == [False] * (len(inside) - 1) + [True]
    assert not admission.crowded
