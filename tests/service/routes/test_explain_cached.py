"""POST /reg/explain with a cache: the same bytes, whatever the cache has."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis

from model.regno import RegnoScorer
from tests.support import toys
from tests.support.parts import AppMaker
from tests.support.paths import GOLDEN, lines
from tests.support.planted import PLATE
from tests.support.redis_server import RedisServer
from tests.support.server import KEY_HEADER

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_explainer_is_left")]

_ROWS: list[dict[str, Any]] = [line["request"] for line in lines(GOLDEN)]
_TOKEN = "t0ken"
_SECRET = "s" * 32
ClientMaker = Callable[..., FlaskClient]


@pytest.fixture
def cached(make_app: AppMaker, records_url: str) -> ClientMaker:
    """Makes a client of a service with a cache, by another scorer if one is given."""
    settings = {"cache": records_url, "cache_secret": _SECRET, "metrics_token": _TOKEN}
    return lambda *scorer: make_app(*scorer, **settings).test_client()


def _explained(client: FlaskClient, body: object) -> bytes:
    reply = client.post("/reg/explain", json=body, headers=KEY_HEADER)
    assert reply.status_code == 200
    data: bytes = reply.data
    return data


def _counts(client: FlaskClient) -> tuple[int, int, int]:
    page = client.get("/metrics", headers={"Authorization": f"Bearer {_TOKEN}"}).text
    name = 'scoring_cache_requests_total{cache="explanations",result="%s"}'
    found = [
        re.findall(rf"^{re.escape(name % result)} (\S+)$", page, re.MULTILINE)
        for result in ("hit", "miss", "error")
    ]
    hits, misses, errors = (int(float(value)) for (value,) in found)
    return hits, misses, errors


def test_a_hit_has_the_bytes_of_a_miss_and_of_no_cache(
    cached: ClientMaker, client: FlaskClient
) -> None:
    first, second = cached(), cached()
    assert _counts(first) == (0, 0, 0)
    reply = _explained(client, _ROWS[0])
    assert _explained(first, _ROWS[0]) == reply
    assert _explained(first, _ROWS[0]) == reply
    assert _explained(second, _ROWS[0]) == reply
    assert (_counts(first), _counts(second)) == ((1, 1, 0), (1, 0, 0))


def test_of_an_array_only_new_rows_are_computed(cached: ClientMaker, client: FlaskClient) -> None:
    rows = [_ROWS[0], {}, *_ROWS[1:4], _ROWS[0]]
    service = cached()
    _explained(service, _ROWS[1:3])
    assert _explained(service, rows) == _explained(client, rows)
    assert _counts(service) == (2, 2 + 3, 0)
    assert _explained(service, rows) == _explained(client, rows)
    assert _counts(service) == (2 + 5, 2 + 3, 0)


def test_another_version_misses(cached: ClientMaker, tmp_path: Path) -> None:
    _explained(cached(), _ROWS[0])
    other = cached(RegnoScorer.load(toys.save(toys.classifier(0, 1), tmp_path)))
    _explained(other, _ROWS[0])
    assert _counts(other) == (0, 1, 0)


@pytest.mark.parametrize("classes", [("a", "b"), ("b", "a")])
def test_another_positive_class_misses(
    cached: ClientMaker, tmp_path: Path, classes: tuple[str, str]
) -> None:
    path = toys.save(toys.classifier("a", "b"), tmp_path)
    first, second = (cached(RegnoScorer.load(path, name)) for name in classes)
    of_first, of_second = (json.loads(_explained(each, _ROWS[0])) for each in (first, second))
    assert _counts(second) == (0, 1, 0)
    assert of_first["body"]["raw"] == -of_second["body"]["raw"]


def test_no_plate_stands_in_redis(cached: ClientMaker, redis: RedisServer) -> None:
    row = {**_ROWS[0], "regno_recognize": PLATE, "afts_regno_ai": PLATE}
    _explained(cached(), row)
    with Redis(port=redis.port) as stored:
        keys = stored.keys()
        values = [stored.get(key) for key in keys]
    seen = b"".join([*keys, *values])
    assert keys
    assert PLATE not in seen.decode("utf-8", errors="ignore")
    assert " ".join(PLATE) not in seen.decode("utf-8", errors="ignore")


def test_without_its_redis_everything_is_computed(
    cached: ClientMaker, client: FlaskClient, redis: RedisServer
) -> None:
    service = cached()
    with redis.paused():
        assert _explained(service, _ROWS[0]) == _explained(client, _ROWS[0])
    assert _counts(service) == (0, 0, 1)
