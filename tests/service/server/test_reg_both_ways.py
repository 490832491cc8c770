"""POST /reg/ by the server's endpoint and by the Flask blueprint: equal, reply for reply.

And so is what is counted of them.
"""

import json
import time
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.regno import RegnoScorer
from service.app import Parts
from service.telemetry.record import STAGES
from tests.support.both_ways import JSON, by_flask, by_server, compared_reply, same
from tests.support.connections import Connect, connected
from tests.support.parts import Served, SiteMaker, publish
from tests.support.paths import GOLDEN, lines
from tests.support.server import KEY
from tests.support.strategies import VALID, mutations, requests

pytestmark = pytest.mark.anyio

_ROWS: Final = [line["request"] for line in lines(GOLDEN)]
_EXAMPLES: Final = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _encoded(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


# What is scored.


@_EXAMPLES
@given(
    body=requests(), detail=st.sampled_from(["/reg/", "/reg", "/reg/?detail=1", "/reg?detail=0"])
)
async def test_a_valid_row(served: Served, body: dict[str, Any], detail: str) -> None:
    reply = await same(served, _encoded(body), detail)
    assert reply.status == 200
    assert [name for name, _ in reply.headers if name != "x-score-warnings"] == [
        *("content-length", "content-type", "server-timing", "x-model-version", "x-request-id")
    ]


_BAD_ROWS: st.SearchStrategy[Any] = st.sampled_from(
    [{}, [], 1, None, "x", {**_ROWS[0], "direction": 7}, {"a": 1}]
)


@_EXAMPLES
@given(
    rows=st.lists(st.one_of(requests(), _BAD_ROWS, st.sampled_from(_ROWS)), max_size=12),
    detail=st.booleans(),
    twice=st.booleans(),
)
async def test_an_array_with_bad_rows(
    served: Served, rows: list[Any], *, detail: bool, twice: bool
) -> None:
    body = _encoded(rows)
    reply = await same(
        served, _encoded(body.decode()) if twice else body, f"/reg/?detail={int(detail)}"
    )
    assert reply.status == 200


@pytest.mark.parametrize("rows", [1, 3, 500, 3000])
@pytest.mark.parametrize("detail", [0, 1])
async def test_arrays_of_every_length(served: Served, rows: int, detail: int) -> None:
    body = (_ROWS * rows)[:rows]
    if rows > 2:
        body[rows // 2] = {}
    reply = await same(served, _encoded(body), f"/reg/?detail={detail}")
    assert reply.status == 200
    assert len(json.loads(str(reply.body, "utf-8"))["body"]) == rows  # type: ignore[call-overload]


async def test_one_long_row(served: Served) -> None:
    body = VALID[:-1] + b" " * 5000 + b"}"
    assert (await same(served, body)).status == 200


@pytest.mark.parametrize("guards", ["accept", "normalise", "reject"])
@pytest.mark.parametrize("rows", [0, 3])
async def test_what_the_guards_say(make_site: SiteMaker, guards: str, rows: int) -> None:
    served = make_site(unseen=guards, guards=f"regno_recognize={guards}")
    for changed in ({"camera_class": "стрелка"}, {"regno_recognize": "A939HO196"}, {}):
        row = {**_ROWS[0], **changed}
        reply = await same(served, _encoded([row] * rows if rows else row), "/reg/?detail=1")
        refused = changed and guards == "reject" and not rows
        assert reply.status == (400 if refused else 200)


# What is refused.


@_EXAMPLES
@given(body=mutations(), detail=st.sampled_from(["", "?detail=1"]))
async def test_a_mutated_body(served: Served, body: bytes, detail: str) -> None:
    await same(served, body, f"/reg/{detail}")


@_EXAMPLES
@given(body=st.one_of(st.binary(max_size=60), st.text(max_size=30).map(str.encode)))
async def test_any_bytes(served: Served, body: bytes) -> None:
    await same(served, body)


@_EXAMPLES
@given(
    kind=st.one_of(
        st.sampled_from(["application/json; charset=utf-16", "text/json", "", "a/b+json", "*/*"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
    ),
    encoding=st.sampled_from([None, "identity", "IDENTITY", "gzip", "identity, gzip", ""]),
)
async def test_any_kind_of_content(served: Served, kind: str, encoding: str | None) -> None:
    headers = {**JSON, "Content-Type": kind}
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    reply = await same(served, VALID, headers=headers)
    assert reply.status in {200, 415}


_TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)


@_EXAMPLES
@given(key=st.one_of(st.sampled_from([KEY, "", f"{KEY}1", f"{KEY},{KEY}"]), _TEXTS))
async def test_any_key(served: Served, key: str) -> None:
    reply = await same(served, VALID, headers={**JSON, "x-api-key": key})
    assert reply.status == (200 if key == KEY else 401)


async def test_no_key_and_no_kind(served: Served) -> None:
    assert (await same(served, VALID, headers={})).status == 401
    assert (await same(served, VALID, headers={"x-api-key": KEY})).status == 415


@_EXAMPLES
@given(
    query=st.one_of(
        st.sampled_from(
            [
                *("detail=2", "detail", "detail=", "detail=1&detail=1", "detail=0&x=1", "Detail=1"),
                *(
                    "detail=%31",
                    "detail=+1",
                    "x=%ff",
                    "&&",
                    "detail=1;x",
                    "?detail=1",
                    "=&detail=1",
                ),
            ]
        ),
        st.text("detail=01&%;+x?/", max_size=20),
    )
)
async def test_any_query(served: Served, query: str) -> None:
    reply = await same(served, VALID, f"/reg/?{query}")
    assert reply.status in {200, 400}


@_EXAMPLES
@given(
    given_ms=st.one_of(
        st.sampled_from(
            ["0", "-1", "1.5", "soon", "", "600001", "600000", "99999999999999", "0060000", "+5"]
        ),
        # A few milliseconds may be over for one way and not for the other.
        _TEXTS.filter(lambda text: not text.isdigit()),
    ),
    start=st.one_of(
        st.sampled_from(["", "t=soon", "t=nan", "1234", "t=99999999999", "t=1"]), _TEXTS
    ),
    rows=st.sampled_from([0, 10]),
)
async def test_any_deadline(served: Served, given_ms: str, start: str, rows: int) -> None:
    body = _encoded(_ROWS[:rows]) if rows else VALID
    headers = {**JSON, "X-Request-Timeout-Ms": given_ms, "X-Request-Start": start}
    reply = await same(served, body, headers=headers)
    assert reply.status in {200, 400, 429}


@pytest.mark.parametrize("rows", [0, 10])
async def test_a_deadline_that_is_over(served: Served, rows: int) -> None:
    body = _encoded(_ROWS[:rows]) if rows else VALID
    for timeout, status in (("500", 429), ("50000", 200)):
        start = f"t={time.time() - 1:.3f}"
        headers = {**JSON, "X-Request-Timeout-Ms": timeout, "X-Request-Start": start}
        assert (await same(served, body, headers=headers)).status == status
    # Without a timeout the edge's clock is ignored: it may be slow by a second.
    headers = {**JSON, "X-Request-Start": f"t={time.time() - 1:.3f}"}
    assert (await same(served, body, headers=headers)).status == 200


async def test_bodies_beyond_a_limit(make_site: SiteMaker) -> None:
    served = make_site(max_body=2000, max_array_body=100_000, max_rows=3)
    long_row = VALID[:-1] + b" " * 2000 + b"}"
    for body, status in (
        (long_row, 413),
        (long_row[:3000], 413),
        (b"[" + long_row + b"]", 200),
        (b" " * 50_000 + b"[]", 200),
        (b" " * 100_000 + b"[]", 413),
        (_encoded([_ROWS[0]] * 3), 200),
        (_encoded([_ROWS[0]] * 4), 413),
        (_encoded([_ROWS[0]] * 300), 413),
    ):
        assert (await same(served, body)).status == status, body[:50]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", ["/reg", "/reg/"])
async def test_other_methods(served: Served, connect: Connect, method: str, path: str) -> None:
    client = await connect(served)
    client.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\n\r\n".encode())
    reply = await client.reply(to_head=method == "HEAD")
    flask = served.app.flask.test_client().open(path, method=method, headers={"x-api-key": KEY})
    assert compared_reply(*reply) == compared_reply(
        flask.status_code, list(flask.headers), flask.data
    )


@pytest.mark.parametrize("rows", [0, 3, 10])
async def test_an_error_while_scoring(
    served: Served, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    for method in ("predict", "score_table"):
        monkeypatch.setattr(RegnoScorer, method, fail)
    reply = await same(served, _encoded(_ROWS[:rows] if rows else _ROWS[0]))
    assert (reply.status, reply.body) == (
        500,
        b'{"body":"internal error, request the id","status":"fail"}',
    )


@pytest.mark.parametrize("rows", [0, 3, 10])
async def test_an_error_before_scoring(
    served: Served, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    for method in ("row", "rows"):
        monkeypatch.setattr(RegnoScorer, method, fail)
    assert (await same(served, _encoded(_ROWS[:rows] if rows else _ROWS[0]))).status == 500


@pytest.mark.parametrize("given_id", ["mine-1", "a b", "A939HO196", KEY, "x" * 129, ""])
async def test_ids(served: Served, connect: Connect, given_id: str) -> None:
    client = await connect(served)
    fields = "".join(f"{name}: {value}\r\n" for name, value in JSON.items())
    head = f"POST /reg/ HTTP/1.1\r\nHost: a\r\n{fields}X-Request-Id: {given_id}\r\n"
    reply = await client.ask(f"{head}Content-Length: {len(VALID)}\r\n\r\n".encode() + VALID)
    flask = served.app.flask.test_client().post(
        "/reg/", data=VALID, headers={**JSON, "X-Request-Id": given_id}
    )
    ids = {reply.header("x-request-id"), flask.headers["X-Request-Id"]}
    assert (ids == {given_id}) is (given_id == "mine-1")
    assert all(len(each) == 32 for each in ids - {"mine-1"})


# What is counted.


def _counts(parts: Parts) -> dict[tuple[str, tuple[str, ...]], float]:
    """The series that count requests and rows, but for times and calls of the model."""
    publish(parts)
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in parts.metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith("scoring_")
        and not any(part in sample.name for part in ("seconds", "batch", "created", "process"))
    }


async def test_what_is_counted_is_the_same(make_site: SiteMaker) -> None:
    bodies = [
        *(_encoded(row) for row in _ROWS[:10]),
        _encoded(_ROWS[:50]),
        _encoded([_ROWS[0], {}, {**_ROWS[1], "camera_class": "?"}, 1]),
        *(b"", b"{", b"{}", b"[]", b"[1", b"1", VALID[:-1], b"[" + VALID),
        _encoded({**_ROWS[0], "camera_class": "?"}),
        _encoded({**_ROWS[0], "direction": 7}),
        _encoded({**_ROWS[0], "regno_recognize": "A939HO196"}),
        VALID[:-1] + b" " * 70_000 + b"}",
        _encoded([1] * 11_000),
    ]
    requests = [
        *((body, "/reg/", None) for body in bodies),
        (VALID, "/reg/?detail=1", None),
        (VALID, "/reg/?detail=2", None),
        (VALID, "/reg/", {"x-api-key": "no"}),
        (VALID, "/reg/", {"x-api-key": KEY, "Content-Type": "text/plain"}),
        (VALID, "/reg/", {**JSON, "X-Request-Timeout-Ms": "0"}),
    ]
    one, other = make_site(), make_site()
    async with connected(one.site) as client:
        for body, target, headers in requests:
            await by_server(client, body, target, headers)
    for body, target, headers in requests:
        by_flask(other, body, target, headers)
    assert _counts(one.parts) == _counts(other.parts)
    counts = _counts(one.parts)
    assert counts["scoring_rows_total", ("scored",)] == 65
    assert counts["scoring_http_requests_total", ("/reg", "POST", "401", "")] == 1


async def test_all_stages_are_timed_and_add_up_to_less_than_the_request(
    served: Served, connect: Connect
) -> None:
    client = await connect(served)
    for _ in range(5):
        assert (await by_server(client, VALID)).status == 200
    publish(served.parts)
    value = served.parts.metrics.registry.get_sample_value
    stages = [value("scoring_stage_seconds_total", {"stage": stage}) or 0.0 for stage in STAGES]
    assert all(seconds > 0 for seconds in stages)
    labels = {"method": "POST", "route": "/reg", "status": "200"}
    whole = value("scoring_http_request_duration_seconds_sum", labels) or 0.0
    assert sum(stages) < whole
