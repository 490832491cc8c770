"""Any bytes at POST /reg/ give a 2xx or 4xx, never a 5xx, and no worker is lost."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.server import KEY, Server
from tests.support.strategies import mutations, requests

pytestmark = pytest.mark.slow
_JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def door(live: Server) -> Iterator[httpx.Client]:
    """One client for all examples; at the end the same workers must be there."""
    before = live.pids()
    with live.client() as client:
        yield client
    assert live.pids() == before
    assert '"level":"error"' not in live.output()


def _assert_answered(reply: httpx.Response) -> None:
    assert reply.status_code in {200, 400, 413, 415}
    answer = reply.json()
    assert set(answer) == {"body", "status"}
    assert (answer["status"] == "fail") is (reply.status_code != 200)


@settings(max_examples=1500)
@given(body=st.binary())
def test_any_bytes_are_answered(door: httpx.Client, body: bytes) -> None:
    _assert_answered(door.post("/reg/", content=body, headers=_JSON))


@settings(max_examples=3000)
@given(body=mutations())
def test_any_mutation_of_a_valid_body_is_answered(door: httpx.Client, body: bytes) -> None:
    _assert_answered(door.post("/reg/", content=body, headers=_JSON))


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@settings(max_examples=1000)
@given(request=requests(), changed=st.data())
def test_any_value_in_any_field_is_answered(
    door: httpx.Client, request: dict[str, Any], changed: st.DataObject
) -> None:
    field = changed.draw(st.sampled_from(sorted(request)))
    body = json.dumps({**request, field: changed.draw(_VALUES)})
    _assert_answered(door.post("/reg/", content=body, headers=_JSON))


@settings(max_examples=300)
@given(rows=st.lists(requests() | _VALUES, max_size=8))
def test_any_rows_are_answered_one_by_one(door: httpx.Client, rows: list[object]) -> None:
    reply = door.post("/reg/", content=json.dumps(rows), headers=_JSON)
    _assert_answered(reply)
    assert reply.status_code == 200
    assert len(reply.json()["body"]) == len(rows)


@settings(max_examples=500)
@given(request=requests())
def test_every_request_of_the_contract_is_scored(
    door: httpx.Client, request: dict[str, Any]
) -> None:
    reply = door.post("/reg/", content=json.dumps(request), headers=_JSON)
    assert reply.status_code == 200
    score = reply.json()["body"]
    assert 0 <= score["positive"] <= 1
    assert abs(score["positive"] + score["negative"] - 1) < 1e-12


# Blanks around a header's value are no part of it, and clients refuse to send them.
_HEADERS = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)).map(str.strip)


@settings(max_examples=300)
@given(kind=_HEADERS)
def test_any_content_type_is_answered(door: httpx.Client, kind: str) -> None:
    _assert_answered(door.post("/reg/", content=b"{}", headers={"Content-Type": kind}))


@settings(max_examples=300)
@given(key=_HEADERS.filter(lambda text: text != KEY))
def test_any_wrong_key_is_a_401(door: httpx.Client, key: str) -> None:
    reply = door.post("/reg/", content=b"{}", headers={**_JSON, "x-api-key": key})
    assert reply.status_code == 401
