"""Who is let in, who waits, who is refused: slots, rooms, deadlines, and a look at the bytes."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import gevent
import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from gevent.event import Event

from service.admission import ARRAY_BYTES, SEEN, Admission, Ticket
from service.errors import Refused
from service.settings import Settings
from tests.conftest import AppMaker
from tests.support.server import KEY

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


def test_no_newcomer_gets_a_slot_before_who_waits(room: Room) -> None:
    held = room.hold(SLOTS + 1)
    room.over.set()
    gevent.joinall(held[:1])  # its slot is free, and not yet the waiter's
    late = gevent.spawn(room._hold, 99, SMALL)
    gevent.joinall([*held, late], raise_error=True)
    assert room.done[-1] == 99


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
    held = room.hold(SLOTS + 1)
    gevent.sleep(0.1)  # what the last one has waited when it gets its slot
    room.over.set()
    gevent.joinall(held)
    assert room.refused == {"deadline": 1}  # it was too late for that one itself
    room.over.clear()
    room.hold(SLOTS)
    assert reason_of(room) == "deadline"


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "soon", "", "600001", "９", "99999999999999"])
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


# At a glance


BODY = b'{"regno_recognize": "x"}'
FIELDS = {
    "Host": "x",
    "x-api-key": KEY,
    "Content-Type": "application/json",
    "X-Request-Id": "mine-1",
    "Content-Length": str(len(BODY)),
}


def request(body: bytes = BODY, line: str = "POST /reg/ HTTP/1.1", **changed: str | None) -> bytes:
    fields = {**FIELDS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    lines = (f"{name}: {value}" for name, value in fields.items() if value is not None)
    return "\r\n".join((line, *lines, "", "")).encode("latin-1") + body


@pytest.fixture
def full(make_app: AppMaker) -> Iterator[Flask]:
    """An app with all slots taken, and no room."""
    app = make_app(max_waiting=0)
    admission = app.extensions["admission"]
    over = Event()

    def hold() -> None:
        with admission.check({}, SMALL):
            over.wait()

    held = [gevent.spawn(hold) for _ in range(SLOTS)]
    gevent.idle()
    yield app
    over.set()
    gevent.joinall(held, raise_error=True)


def test_a_request_refused_at_a_glance_gets_what_the_app_would_say(full: Flask) -> None:
    seen = full.extensions["glance"].refusal(request())
    assert seen is not None
    head, _, body = seen.decode().partition("\r\n\r\n")
    line, *rest = head.split("\r\n")
    assert line == "HTTP/1.1 429 Too Many Requests"
    fields = dict(field.split(": ") for field in rest)
    said = full.test_client().post(
        "/reg/", data=BODY, headers={name: v for name, v in FIELDS.items() if name != "Host"}
    )
    assert json.loads(body) == said.get_json()
    assert fields.pop("Retry-After") in {"1", "2", "3"}
    assert fields.pop("Connection") == "keep-alive"
    assert fields == {name: said.headers[name] for name in fields}
    assert fields.keys() == set(said.headers.keys()) - {"Retry-After"}


@pytest.mark.parametrize(
    "data",
    [
        request(line="GET /reg/ HTTP/1.1"),
        request(line="POST /reg/ HTTP/1.0"),
        request(line="POST /reg/?a=b HTTP/1.1"),
        request(line="POST /regs HTTP/1.1"),
        request(line="POST /healthz HTTP/1.1"),
        request(Content_Length=None),
        request(Content_Length="+24"),
        request(Content_Length="24, 24"),
        request(content_length="24"),
        request(Transfer_Encoding="chunked"),
        request(Expect="100-continue"),
        request(Connection="close"),
        request(Upgrade="h2c"),
        request(Host="x\r\nBad Name: x"),
        request(Folded="x\r\n y"),
        request(BODY[:-1]),
        request(BODY + b"P"),
        request(BODY) + request(BODY),
        request()[:40],
        request().replace(b"\r\n", b"\n"),
        b"",
    ],
)
def test_whatever_is_not_plain_is_for_the_parser(full: Flask, data: bytes) -> None:
    assert full.extensions["glance"].refusal(data) is None


def test_while_there_are_slots_nobody_is_refused_at_a_glance(app: Flask) -> None:
    assert app.extensions["glance"].refusal(request()) is None


def test_a_plate_or_a_key_as_an_id_is_not_repeated(full: Flask) -> None:
    for secret in (KEY, "A939HO196"):
        refusal = full.extensions["glance"].refusal(request(X_Request_Id=secret))
        assert refusal is not None
        assert secret.encode() not in refusal
