"""What is served at the two addresses: as Flask says it, with what the server adds."""

import re
from collections.abc import AsyncIterator
from threading import get_ident

import pytest

from service.app import create_metrics_app
from service.endpoints import metrics_site
from tests.support.both_ways import REQUESTS, compared_reply
from tests.support.connections import Client, Connect, connected
from tests.support.parts import Served, SiteMaker
from tests.support.reply import Reply
from tests.support.server import KEY, KEY_HEADER
from tests.support.strategies import VALID

pytestmark = pytest.mark.anyio

_TOKEN = "token-of-the-tests"
_CLIENTS = {"127.0.0.1": 200, "203.0.113.9": 401}
# llhttp knows the methods that are registered; others are not HTTP to it.
_KNOWN = [(method, address) for method, address in REQUESTS if method != "BREW"]


async def ask(client: Client, method: str, address: str, *fields: str) -> Reply:
    lines = "".join(f"{field}\r\n" for field in ("Host: localhost", *fields))
    client.send(f"{method} {address} HTTP/1.1\r\n{lines}\r\n".encode())
    return await client.reply(to_head=method == "HEAD")


@pytest.fixture
async def client(served: Served, connect: Connect) -> Client:
    client: Client = await connect(served)
    return client


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize(("method", "address"), _KNOWN)
async def test_a_reply_is_what_flask_says(
    served: Served, client: Client, method: str, address: str, *, with_key: bool
) -> None:
    fields = [f"x-api-key: {KEY}"] if with_key else []
    reply = await ask(client, method, address, *fields)
    flask = served.app.flask.test_client().open(
        address, method=method, headers=KEY_HEADER if with_key else {}
    )
    flask.headers.pop("Date", None)
    assert compared_reply(*reply) == compared_reply(
        flask.status_code, list(flask.headers), flask.data
    )


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize(("method", "address"), [*REQUESTS, ("get", "/"), ("PROPFIND", "/reg/")])
async def test_every_reply_names_the_request_and_the_model(
    served: Served, client: Client, method: str, address: str, *, with_key: bool
) -> None:
    reply = await ask(client, method, address, *([f"x-api-key: {KEY}"] if with_key else []))
    assert reply.status < 500
    assert re.fullmatch("[0-9a-f]{32}", reply.header("x-request-id"))
    assert reply.header("x-model-version") == served.parts.slot.current.version
    assert reply.header("server") == "gunicorn"
    if reply.status >= 400 and method != "HEAD":
        assert reply.reason


@pytest.mark.parametrize(
    ("method", "named"),
    [("POST", "POST"), ("HEAD", "HEAD"), ("PROPFIND", "other"), ("get", "other"), ("X1", "other")],
)
async def test_only_known_methods_are_named(
    served: Served, client: Client, method: str, named: str
) -> None:
    await ask(client, method, "/healthz")
    (record,) = served.answered
    assert record.method == named


@pytest.mark.parametrize("given", ["a", "Abc-1.2:3_4", "x" * 128, "0" * 32])
async def test_a_sensible_request_id_is_echoed(client: Client, given: str) -> None:
    reply = await ask(client, "GET", "/", f"x-api-key: {KEY}", f"X-Request-Id: {given}")
    assert reply.header("x-request-id") == given


@pytest.mark.parametrize("fields", [[], ["x-api-key: wrong"]])
@pytest.mark.parametrize(("method", "address"), _KNOWN)
async def test_the_id_of_a_client_without_a_good_key_is_never_echoed_or_noted(
    served: Served, client: Client, method: str, address: str, fields: list[str]
) -> None:
    """Were only those replaced that hold a key, a reply would tell which texts are keys."""
    reply = await ask(client, method, address, *fields, "X-Request-Id: sensible")
    sent = reply.header("x-request-id")
    assert re.fullmatch("[0-9a-f]{32}", sent)
    assert [record.request_id for record in served.answered] == [sent]


@pytest.mark.parametrize(
    ("method", "address"), [("GET", "/"), ("POST", "/reg/"), ("GET", "/model")]
)
@pytest.mark.parametrize("form", ["{}", "id-{}.1"])
@pytest.mark.parametrize("secret", ["Zq9-anothers-key-xyz01", "token-of-the-tests"])
async def test_an_id_that_holds_anothers_secret_is_echoed_as_any_other_and_not_noted(  # noqa: PLR0913, PLR0917
    make_site: SiteMaker, connect: Connect, secret: str, form: str, method: str, address: str
) -> None:
    served = make_site(api_keys="own:k2,other:Zq9-anothers-key-xyz01", metrics_token=_TOKEN)
    client = await connect(served)
    given = form.format(secret)
    for sent in (given, given.swapcase()):
        reply = await ask(client, method, address, "x-api-key: k2", f"X-Request-Id: {sent}")
        assert reply.header("x-request-id") == sent
    hidden, plain = (record.request_id for record in served.answered)
    assert re.fullmatch("[0-9a-f]{32}", hidden)
    assert plain == given.swapcase()


@pytest.mark.parametrize(
    "hostile",
    [
        *("", "x" * 129, "a b", 'a"b', "a,b", "{}", "А939НО196", "<script>", "%0d%0aX: y", "a\tb"),
        *("A939HO196", "reqA939HO196", "A--939--HO--196", KEY, "\x80"),
    ],
)
async def test_any_other_request_id_is_replaced(client: Client, hostile: str) -> None:
    reply = await ask(client, "GET", "/", f"x-api-key: {KEY}", f"X-Request-Id: {hostile}")
    assert reply.status == 200
    assert re.fullmatch("[0-9a-f]{32}", reply.header("x-request-id"))


async def test_two_request_ids_are_none(client: Client) -> None:
    ids = "X-Request-Id: a", "X-Request-Id: b"
    reply = await ask(client, "GET", "/", f"x-api-key: {KEY}", *ids)
    assert reply.status == 200
    assert re.fullmatch("[0-9a-f]{32}", reply.header("x-request-id"))


async def test_a_key_in_an_id_is_not_echoed_though_it_is_wrong(client: Client) -> None:
    fields = "x-api-key: secret-1", "X-Request-Id: of-secret-1"
    reply = await ask(client, "POST", "/reg/", *fields)
    assert reply.status == 401
    assert "secret" not in str(reply)


async def test_a_header_with_an_underscore_is_ignored(client: Client) -> None:
    """A proxy passes both it and the one with a dash; Flask would take it for that."""
    assert (await ask(client, "GET", "/", f"x_api_key: {KEY}")).status == 401


@pytest.mark.parametrize(
    ("field", "status"),
    [
        *((f"{name}: x", 401) for name in ("Via", "X-Forwarded-Proto", "X-FORWARDED-ANY")),
        *((f"X-Client-IP: {address}", status) for address, status in _CLIENTS.items()),
        ("Accept: */*", 200),
    ],
)
async def test_the_example_key_passes_no_proxy(client: Client, field: str, status: int) -> None:
    assert (await ask(client, "GET", "/", f"x-api-key: {KEY}", field)).status == status


async def test_the_example_key_is_for_hosts_of_this_machine(client: Client) -> None:
    for host, status in {"plates.example": 401, "localhost": 200, "127.0.0.1:1": 200}.items():
        client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\nx-api-key: {KEY}\r\n\r\n".encode())
        assert (await client.reply()).status == status


async def test_an_explanation_comes_from_a_thread(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def explained(*_: object) -> list[None]:
        threads.append(get_ident())
        return [None]

    monkeypatch.setattr(type(served.parts.slot.current.scorer), "explained", explained)
    head = (
        f"POST /reg/explain HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(VALID)}\r\n\r\n"
    )
    assert (await client.ask(head.encode() + VALID)).status == 200
    assert threads
    assert get_ident() not in threads


# The address of the metrics.


@pytest.fixture
async def metrics(make_site: SiteMaker) -> AsyncIterator[Client]:
    served = make_site(metrics_token="t0ken")
    site = metrics_site(create_metrics_app(served.parts), served.parts, lambda *_: None)
    assert not site.is_public
    async with connected(site) as client:
        yield client


async def test_the_metrics_have_an_address_of_their_own(metrics: Client) -> None:
    page = await ask(metrics, "GET", "/metrics", "Authorization: Bearer t0ken")
    assert page.status == 200
    assert b"scoring_rows_total" in page.body
    assert (await ask(metrics, "GET", "/metrics")).status == 401
    assert (await ask(metrics, "GET", "/healthz")).status == 200
    assert (await ask(metrics, "GET", "/readyz")).status == 200


@pytest.mark.parametrize("address", ["/", "/reg/", "/reg", "/reg/explain", "/model", "/docs/"])
async def test_and_nothing_else_is_there(metrics: Client, address: str) -> None:
    for method in ("GET", "POST"):
        assert (await ask(metrics, method, address, f"x-api-key: {KEY}")).status == 404
