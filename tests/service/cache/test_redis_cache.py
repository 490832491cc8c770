"""The cache in a real Redis: what it finds, what nobody can read there, what it does without."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from redis import Redis

from service.cache import redis_cache as module
from service.cache.redis_cache import RedisCache
from tests.support.planted import PLATE
from tests.support.redis_server import RedisServer
from tests.support.server import eventually

pytestmark = pytest.mark.slow

_SECRET = "s" * 32
_KEEP = 60.0


@pytest.fixture
def cache(records_url: str) -> RedisCache:
    return RedisCache(records_url, _SECRET, _KEEP)


@pytest.fixture
def stored(redis: RedisServer) -> Iterator[Any]:
    """What anybody with access to the server sees."""
    with Redis(port=redis.port) as client:
        yield client


def test_values_are_found_by_their_requests_in_order(cache: RedisCache) -> None:
    assert cache.get([b"a", b"b"]) == ([None, None], {"miss": 2})
    cache.put({b"a": bytes(range(256)), b"c": b""})
    found = cache.get([b"c", b"b", b"a", b"a"])
    assert found == ([b"", None, bytes(range(256)), bytes(range(256))], {"hit": 3, "miss": 1})
    assert cache.get([]) == ([], {})


def test_another_secret_and_another_version_of_the_service_find_nothing(
    cache: RedisCache, records_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put({b"a": b"1"})
    assert RedisCache(records_url, "t" * 32, _KEEP).get([b"a"]).counts == {"miss": 1}
    monkeypatch.setattr(module, "VERSION", "0.0.0")
    assert cache.get([b"a"]).counts == {"miss": 1}


def test_a_value_is_gone_after_its_time(records_url: str, stored: Any) -> None:
    cache = RedisCache(records_url, _SECRET, 0.05)
    cache.put({b"a": b"1"})
    (key,) = stored.keys() or [b""]
    assert stored.pttl(key) <= 50
    eventually(lambda: cache.get([b"a"]).counts == {"miss": 1}, "it is gone")


def test_a_request_can_not_be_read_in_redis(cache: RedisCache, stored: Any) -> None:
    cache.put({PLATE.encode(): b"0.5"})
    (key,) = stored.keys()
    assert len(key) == len("cache:") + 64
    assert PLATE.encode() not in key + stored.get(key)


def test_a_value_that_was_changed_or_moved_is_an_error(cache: RedisCache, stored: Any) -> None:
    cache.put({b"a": b"1"})
    (of_a,) = stored.keys()
    cache.put({b"b": b"2"})
    (of_b,) = {*stored.keys()} - {of_a}
    stored.set(of_a, stored.get(of_b))
    stored.set(of_b, stored.get(of_b)[:-1] + b"3")
    assert cache.get([b"a", b"b"]) == ([None, None], {"error": 2})
    stored.set(of_a, b"")
    assert cache.get([b"a"]) == ([None], {"error": 1})


@contextmanager
def _killed(redis: RedisServer) -> Iterator[None]:
    redis.kill()
    try:
        yield
    finally:
        redis.start()


@contextmanager
def _with_a_password(redis: RedisServer) -> Iterator[None]:
    with Redis(port=redis.port) as client:
        client.config_set("requirepass", "wL9x")
        try:
            yield
        finally:
            client.config_set("requirepass", "")


@pytest.mark.parametrize("fault", [RedisServer.paused, _killed, _with_a_password])
def test_a_redis_that_does_not_answer_is_a_miss_and_left_alone_for_a_while(
    fault: Callable[[RedisServer], AbstractContextManager[None]],
    records_url: str,
    redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = RedisCache(records_url, _SECRET, _KEEP)
    with fault(redis):
        cache.put({b"a": b"1"})
        assert cache.get([b"a"]) == ([None], {"error": 1})
    assert cache.get([b"a"]) == ([None], {"error": 1})
    monkeypatch.setattr(cache, "_next_try", 0.0)
    cache.put({b"a": b"1"})
    assert cache.get([b"a"]) == ([b"1"], {"hit": 1})


def test_a_full_redis_keeps_nothing_and_raises_nothing(
    cache: RedisCache, redis: RedisServer
) -> None:
    with redis.full():
        cache.put({b"a": b"1"})
    assert cache.get([b"a"]).values == [None]
