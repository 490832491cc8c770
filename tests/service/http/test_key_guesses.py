"""Clients that guess keys are limited; no others are."""

import pytest
from flask.testing import FlaskClient

from service.http import api_keys as auth
from service.http.key_guesses import BURST, KeyGuesses
from tests.support.clock import SteppedClock
from tests.support.parts import AppMaker


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def guesses(clock: SteppedClock) -> KeyGuesses:
    return KeyGuesses(clock)


def _wrong(guesses: KeyGuesses, address: str, times: int) -> list[bool]:
    return [guesses.refuses(address, None) for _ in range(times)]


def test_so_many_at_once_and_one_a_second_are_looked_at(
    guesses: KeyGuesses, clock: SteppedClock
) -> None:
    assert _wrong(guesses, "203.0.113.9", BURST + 3) == [False] * BURST + [True] * 3
    clock.now += 1
    assert _wrong(guesses, "203.0.113.9", 3) == [False, True, True]
    clock.now += 5
    assert _wrong(guesses, "203.0.113.9", 7) == [False] * 5 + [True] * 2
    clock.now += 1000
    assert _wrong(guesses, "203.0.113.9", BURST + 1) == [False] * BURST + [True]


def test_a_right_key_is_no_way_out_unless_it_came_before(
    guesses: KeyGuesses, clock: SteppedClock
) -> None:
    assert not guesses.refuses("203.0.113.9", "partner")
    _wrong(guesses, "203.0.113.9", BURST)
    # The one that was guessed, and the caller who shares the address.
    assert guesses.refuses("203.0.113.9", "guessed")
    assert not guesses.refuses("203.0.113.9", "partner")
    assert not guesses.refuses("203.0.113.10", "guessed")
    clock.now += 1
    assert not guesses.refuses("203.0.113.9", "guessed")


def test_right_keys_spend_nothing(guesses: KeyGuesses) -> None:
    assert not any(guesses.refuses("203.0.113.9", f"caller-{n}") for n in range(10 * BURST))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::7", "2001:db8:1:2:ffff::8", True),
        ("2001:db8:1:2::7", "2001:db8:1:3::7", False),
        ("203.0.113.9", "203.0.113.10", False),
        ("unknown", "unknown", True),
    ],
)
def test_the_addresses_of_one_customer_count_together(
    one: str, other: str, *, same: bool, guesses: KeyGuesses
) -> None:
    _wrong(guesses, one, BURST)
    assert guesses.refuses(other, None) is same


def test_what_is_known_stays_within_bounds(guesses: KeyGuesses) -> None:
    for number in range(30_000):
        guesses.refuses(f"a-{number}", None)
        guesses.refuses(f"a-{number}", "partner")
    long = "x" * 8000
    assert not guesses.refuses(long, None)
    assert not guesses.refuses(long, "partner")
    kept = [*guesses._spent, *(address for address, _ in guesses._known)]
    assert max(map(len, kept)) == 64
    assert len(guesses._spent) == 10_000
    assert len(guesses._known) <= 10_000
    assert not guesses.refuses("a-29999", "partner")


@pytest.fixture
def client(make_app: AppMaker, guesses: KeyGuesses, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr(auth, "KeyGuesses", lambda: guesses)
    return make_app(api_keys="first:k1,second:k2").test_client()


def _status(client: FlaskClient, key: str, forwarded: str) -> int:
    return client.get("/", headers={"x-api-key": key, "X-Forwarded-For": forwarded}).status_code


def test_key_guesses_through_a_proxy_get_429(client: FlaskClient, clock: SteppedClock) -> None:
    assert _status(client, "k1", "203.0.113.9") == 200
    tried = [_status(client, f"wrong-{n}", "203.0.113.9") for n in range(BURST + 5)]
    assert tried == [401] * BURST + [429] * 5
    # What a client forges stands before what the proxy wrote.
    assert _status(client, "k2", "9.9.9.9, 203.0.113.9") == 429
    assert _status(client, "k1", "203.0.113.9") == 200
    assert _status(client, "k2", "203.0.113.77") == 200
    for path in ("/reg/", "/reg", "/reg/explain"):
        headers = {"x-api-key": "k2", "X-Forwarded-For": "203.0.113.9"}
        refused = client.post(path, headers=headers)
        expected = {"body": "too many wrong keys came from this address", "status": "fail"}
        assert (refused.status_code, refused.json) == (429, expected)
        assert refused.headers["Retry-After"] == "3"
    clock.now += 1
    assert _status(client, "k2", "203.0.113.9") == 200


def test_without_a_proxy_or_a_key_no_client_is_limited(client: FlaskClient) -> None:
    bare = [client.get("/", headers={"x-api-key": f"wrong-{n}"}) for n in range(2 * BURST)]
    assert {reply.status_code for reply in bare} == {401}
    assert {_status(client, "", "203.0.113.9") for _ in range(2 * BURST)} == {401}
    assert _status(client, "k1", "203.0.113.9") == 200
