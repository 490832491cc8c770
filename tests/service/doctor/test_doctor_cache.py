"""The doctor's check of the cache, with the real Redis."""

import pytest
from redis import Redis

from loadgen.common.processes import free_port
from service.config.settings import Settings
from service.doctor.cache import cache
from service.doctor.finding import Finding
from tests.support.messages import mentions
from tests.support.redis_server import RedisServer


def _finding(url: str) -> Finding:
    (finding,) = cache(Settings(cache=url, cache_secret="s" * 32))
    assert "planted" not in finding.description + finding.remedy
    return finding


def test_without_a_cache_nothing_is_said() -> None:
    assert list(cache(Settings())) == []


def test_a_cache_that_can_not_be_reached_is_a_warning_without_its_password() -> None:
    port = free_port()
    finding = _finding(f"redis://a:planted@127.0.0.1:{port}/1")
    assert finding.level == "warn"
    assert mentions(finding.description, f"redis://127.0.0.1:{port}/1", "can't be reached")


@pytest.mark.slow
def test_a_cache_has_to_give_way_when_it_is_full(redis: RedisServer) -> None:
    assert mentions(_finding(redis.url).description, "no limit")
    with Redis(port=redis.port) as client:
        client.config_set("maxmemory", 1 << 30)
        try:
            assert mentions(_finding(redis.url).description, "evicts nothing")
            client.config_set("maxmemory-policy", "allkeys-lru")
            finding = _finding(redis.url)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 0)
    assert (finding.level, "allkeys-lru" in finding.description) == ("ok", True)


@pytest.mark.slow
def test_a_user_that_is_refused_is_a_warning(redis: RedisServer) -> None:
    url = redis.url.replace("redis://", "redis://a:planted@")
    assert mentions(_finding(url).description, "refuses this user")
