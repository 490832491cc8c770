"""Any bytes at POST /reg/ give a 2xx or 4xx, never a 5xx, and no worker is lost."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import soak
from tests.support.live import JSON, Connection, assert_refused_by_service, exchange
from tests.support.mutations import VALUES, flipped, restructured, spliced
from tests.support.reply import Reply
from tests.support.server import KEY, KEY_HEADER, Server
from tests.support.strategies import VALID, mutations, requests

pytestmark = pytest.mark.slow

_PRINTABLE: Final = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126))


class ScoringClient:
    """One connection for all examples: a server that drops it fails the example."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = Connection(server)

    def post(self, body: bytes | str, headers: Mapping[str, str] | None = None) -> Reply:
        """POST /reg/ with the key."""
        content = body.encode() if isinstance(body, str) else body
        try:
            return self._connection.ask("POST", "/reg/", content, {**KEY_HEADER, **(headers or {})})
        except Exception:
            self.close()  # the next example, a smaller one perhaps, begins anew
            self._connection = Connection(self._server)
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@pytest.fixture(scope="module")
def client(live: Server) -> Iterator[ScoringClient]:
    """At the end the same workers must be there, and none may have logged an error."""
    before = live.pids()
    client = ScoringClient(live)
    yield client
    client.close()
    assert live.pids() == before
    assert not [line for line in live.log() if line["level"] == "error"]


def _assert_answered(reply: Reply) -> None:
    if reply.status == 200:
        assert reply.json().keys() == {"body", "status"}
        assert reply.json()["status"] in {"ok", "partial"}
    else:
        assert reply.status in {400, 413, 415}
        assert_refused_by_service(reply)


@settings(max_examples=soak.size(300))
@given(body=st.binary())
def test_any_bytes_are_answered(client: ScoringClient, body: bytes) -> None:
    _assert_answered(client.post(body))


@settings(max_examples=soak.size(600))
@given(body=mutations())
def test_any_mutation_of_a_valid_body_is_answered(client: ScoringClient, body: bytes) -> None:
    _assert_answered(client.post(body))


@settings(max_examples=soak.size(300))
@given(body=flipped() | spliced())
def test_flipped_cut_and_spliced_bodies_are_answered(client: ScoringClient, body: bytes) -> None:
    _assert_answered(client.post(body))


@settings(max_examples=soak.size(300))
@given(body=restructured())
def test_any_structure_of_json_is_answered(client: ScoringClient, body: bytes) -> None:
    _assert_answered(client.post(body))


@settings(max_examples=soak.size(200))
@given(request=requests(), changed=st.data())
def test_any_value_in_any_field_is_answered(
    client: ScoringClient, request: dict[str, Any], changed: st.DataObject
) -> None:
    field = changed.draw(st.sampled_from(sorted(request)))
    body = json.dumps({**request, field: changed.draw(VALUES)})
    _assert_answered(client.post(body))


@settings(max_examples=soak.size(100))
@given(rows=st.lists(requests() | VALUES, max_size=8))
def test_any_rows_are_answered_one_by_one(client: ScoringClient, rows: list[object]) -> None:
    reply = client.post(json.dumps(rows))
    _assert_answered(reply)
    assert reply.status == 200
    assert len(reply.json()["body"]) == len(rows)


@settings(max_examples=soak.size(100))
@given(request=requests())
def test_every_request_of_the_contract_is_scored(
    client: ScoringClient, request: dict[str, Any]
) -> None:
    reply = client.post(json.dumps(request))
    assert reply.status == 200
    score = reply.json()["body"]
    assert 0 <= score["positive"] <= 1
    assert abs(score["positive"] + score["negative"] - 1) < 1e-12


# Blanks around a header's value are not part of it, and clients refuse to send them.


@settings(max_examples=soak.size(100))
@given(kind=_PRINTABLE)
def test_any_content_type_is_answered(client: ScoringClient, kind: str) -> None:
    _assert_answered(client.post(b"{}", {"Content-Type": kind}))


@settings(max_examples=soak.size(100))
@given(key=_PRINTABLE)
def test_any_wrong_key_is_a_401(client: ScoringClient, key: str) -> None:
    reply = client.post(b"{}", {"x-api-key": key})
    # Blanks around a header's value are not part of it.
    assert reply.status == (400 if key.strip(" ") == KEY else 401)


_KNOWN: st.SearchStrategy[bytes] = st.sampled_from(
    [
        *(b"Accept", b"Connection", b"Content-Encoding", b"Content-Length", b"Content-Type"),
        *(b"Cookie", b"Date", b"Expect", b"Forwarded", b"Host", b"HTTP2-Settings", b"If-Match"),
        *(b"Range", b"Referer", b"TE", b"Trailer", b"Transfer-Encoding", b"Upgrade", b"User-Agent"),
        *(b"X-Forwarded-Proto", b"X-Forwarded-For", b"X-HTTP-Method-Override", b"X-Request-Id"),
        *(b"X-Script-Name", b"Script-Name", b"x-api-key", b"Proxy", b"Sec-WebSocket-Key"),
    ]
)
_TELLING: st.SearchStrategy[bytes] = st.sampled_from(
    [
        *(b"", b"0", b"-1", b"+5", b"1_0", b"99999999999999999999", b"close", b"keep-alive"),
        *(b"chunked", b"gzip, chunked", b"identity", b"100-continue", b"h2c", b"websocket"),
        *(b"application/json; charset=utf-16", b"text/plain", b"https", b"a b", b"[::1", b"*/*"),
    ]
)
# No line ends: a head that ends early would make a second request of its rest.
_BYTES: st.SearchStrategy[bytes] = st.binary(max_size=30).map(
    lambda raw: raw.translate(None, b"\r\n")
)
_HEADERS = st.lists(st.tuples(_KNOWN | _BYTES, _TELLING | _BYTES), max_size=6)


@settings(max_examples=soak.size(300))
@given(headers=_HEADERS)
def test_any_headers_are_answered(
    client: ScoringClient, live: Server, headers: list[tuple[bytes, bytes]]
) -> None:
    fixed = f"POST /reg/ HTTP/1.1\r\nx-api-key: {KEY}\r\nContent-Type: {JSON}\r\n"
    drawn = b"".join(b"%b: %b\r\n" % header for header in headers)
    top = fixed.encode() + b"Content-Length: %d\r\n" % len(VALID) + drawn + b"\r\n"
    reply = exchange(live, top + VALID, then_end=True)
    if reply.status != 200:
        assert reply.status in {400, 401, 413, 415, 431}
        assert_refused_by_service(reply)
    _assert_answered(client.post(VALID))
