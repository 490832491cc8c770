"""What every reply of the app carries, which routes ask for a key, and what is refused."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from model.regno import RegnoScorer
from service.telemetry.record import ENVIRON_KEY, Record
from tests.support.both_ways import REQUESTS
from tests.support.messages import failure, mentions
from tests.support.parts import AppMaker, parts_of

# The routes that answer without a key, and why.
_OPEN = {
    "/healthz": "probes have no key",
    "/readyz": "probes have no key",
    "/v2/health/live": "probes have no key",
    "/v2/health/ready": "probes have no key",
    "/openapi.json": "the document is not a secret",
    "/docs/": "shows the document",
    "/docs": "leads there",
    "/docs/<path:path>": "the files of the page",
    "/docs/dist/<path:path>": "the files of the page",
    "/metrics": "asks for a bearer token of its own",
}


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize(("method", "address"), REQUESTS)
def test_every_reply_names_the_request_and_the_model(  # noqa: PLR0913
    method: str,
    address: str,
    *,
    with_key: bool,
    client: FlaskClient,
    key: dict[str, str],
    scorer: RegnoScorer,
) -> None:
    reply = client.open(address, method=method, headers=key if with_key else {})
    assert reply.status_code < 500
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"])
    assert reply.headers["X-Model-Version"] == scorer.version
    assert len(reply.headers.get_all("X-Request-Id")) == 1


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize(("method", "address"), REQUESTS)
def test_every_error_is_in_the_envelope(
    method: str, address: str, *, with_key: bool, client: FlaskClient, key: dict[str, str]
) -> None:
    reply = client.open(address, method=method, headers=key if with_key else {})
    assert _is_failure(reply) is (reply.status_code >= 400 and method != "HEAD")


def _is_failure(reply: TestResponse) -> bool:
    """Whether a reply is the envelope of an error."""
    match reply.json if reply.content_type == "application/json" and reply.data else None:
        case {"body": str(), "status": "fail", **others}:
            return not others
    return False


@pytest.mark.parametrize("sensible", ["a", "Abc-1.2:3_4", "x" * 128, "0" * 32])
def test_a_sensible_request_id_is_echoed(
    sensible: str, client: FlaskClient, key: dict[str, str]
) -> None:
    reply = client.get("/", headers={**key, "X-Request-Id": sensible})
    assert reply.headers["X-Request-Id"] == sensible


@pytest.mark.parametrize("wrong", [{}, {"x-api-key": "wrong"}, {"x-api-key": ""}])
@pytest.mark.parametrize(("method", "address"), REQUESTS)
def test_the_id_of_a_client_without_a_good_key_is_never_echoed(
    method: str, address: str, wrong: dict[str, str], client: FlaskClient
) -> None:
    """Were only those replaced that hold a key, a reply would tell which texts are keys."""
    reply = client.open(address, method=method, headers={**wrong, "X-Request-Id": "sensible"})
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"])


@pytest.mark.parametrize(
    ("method", "address"),
    [("GET", "/healthz"), ("GET", "/docs"), ("GET", "/nowhere"), ("GET", "/reg/")],
)
def test_a_request_that_needs_no_key_gets_a_new_id(
    method: str, address: str, client: FlaskClient, key: dict[str, str]
) -> None:
    reply = client.open(address, method=method, headers={**key, "X-Request-Id": "sensible"})
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"])


@pytest.mark.parametrize(
    "hostile",
    [
        *(
            "",
            " ",
            "x" * 129,
            "a b",
            'a"b',
            "a,b",
            "a\\nb",
            "{}",
            "А939НО196",
            "a\x7f",
            "a\x1b[31m",
        ),
        *('1","level":"error', "<script>", "%0d%0aSet-Cookie: x", "a/b", "a\tb"),
        # Plates in Latin letters, in longer words too, and a caller's key.
        *("A939HO196", "reqA939HO196", "A939HO196v1", "20211121A939HO196", "A--939--HO--196"),
        "123321",
    ],
)
def test_any_other_request_id_is_replaced(
    hostile: str, client: FlaskClient, key: dict[str, str]
) -> None:
    environ = {"HTTP_X_REQUEST_ID": hostile.encode().decode("latin-1")}
    reply = client.get("/", headers=key, environ_overrides=environ)
    assert reply.status_code == 200
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"])


_TOKEN = "token-of-the-tests"
_ADMINS_KEY = "Zq9-a-key-of-32-characters-xyz01"


@pytest.mark.parametrize("secret", [_ADMINS_KEY, _TOKEN])
@pytest.mark.parametrize("form", ["{}", "id-{}", "{}.1", "a{}b"])
def test_no_reply_reveals_that_a_request_id_holds_a_secret(
    form: str, secret: str, make_app: AppMaker
) -> None:
    """A caller sees the id that it sent, as it would see any other."""
    app = make_app(api_keys=f"admin:{_ADMINS_KEY},other:k2", metrics_token=_TOKEN)
    given = form.format(secret)
    for path in ("/healthz", "/nowhere"):
        reply = app.test_client().get(path, headers={"x-api-key": "k2", "X-Request-Id": given})
        assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"])
    for sent in (given, given.swapcase()):
        reply = app.test_client().get("/", headers={"x-api-key": "k2", "X-Request-Id": sent})
        assert (reply.status_code, reply.headers["X-Request-Id"]) == (200, sent)


@pytest.mark.parametrize("token", ["t", "order", "seven77"])
def test_a_short_token_makes_no_other_text_a_secret(token: str, make_app: AppMaker) -> None:
    """It stands in texts by chance, as short keys do."""
    holds_secret = parts_of(make_app(metrics_token=token)).holds_secret
    assert [holds_secret(text) for text in (token, f"id-{token}-1", "")] == [True, False, False]
    holds_secret = parts_of(make_app(metrics_token="eight888")).holds_secret
    assert holds_secret("id-eight888-1")


@pytest.mark.parametrize("form", ["{}", "id-{}", "{}.1", "a{}b"])
def test_a_callers_own_key_in_a_request_id_is_not_echoed(form: str, make_app: AppMaker) -> None:
    client = make_app(api_keys=f"admin:{_ADMINS_KEY}").test_client()
    sent = {"x-api-key": _ADMINS_KEY, "X-Request-Id": form.format(_ADMINS_KEY)}
    reply = client.get("/", headers=sent)
    assert reply.status_code == 200
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"])


def test_made_request_ids_differ(client: FlaskClient) -> None:
    made = {client.get("/healthz").headers["X-Request-Id"] for _ in range(50)}
    assert len(made) == 50


def test_every_route_but_the_named_ones_asks_for_a_key(
    make_app: AppMaker, key: dict[str, str]
) -> None:
    app = make_app(metrics_token="t0ken")
    client = app.test_client()
    seen = set()
    for rule in app.url_map.iter_rules():
        if rule.rule in _OPEN:
            seen.add(rule.rule)
            continue
        for method in rule.methods or ():
            address = re.sub("<[^>]*>", "x", rule.rule)
            reply = client.open(address, method=method)
            assert reply.status_code == 401, (method, address)
            assert client.open(address, method=method, headers=key).status_code != 401
    assert seen == {rule for rule in _OPEN if rule in _rules(app)}
    assert "/reg/" in _rules(app)


def test_a_record_that_the_server_made_is_kept(app: Flask) -> None:
    """The server writes the headers and counts: only the route is noted, whatever the reply."""
    for path, route, status in (("/healthz", "/healthz", 200), ("/nowhere", "unmatched", 404)):
        record = Record("id", "GET")
        reply = app.test_client().get(path, environ_overrides={ENVIRON_KEY: record})
        assert (reply.status_code, record.route) == (status, route)
        assert not {"X-Request-Id", "X-Model-Version"} & set(reply.headers.keys())
    assert _counted(app) == {}


def test_under_any_other_server_requests_are_counted_and_timed(app: Flask) -> None:
    client = app.test_client()
    for _ in range(3):
        assert client.get("/healthz").status_code == 200
    assert _counted(app) == {"/healthz": 3.0}
    labels = {"method": "GET", "route": "/healthz", "status": "200"}
    value = parts_of(app).metrics.registry.get_sample_value
    assert value("scoring_http_request_duration_seconds_count", labels) == 3
    assert (value("scoring_http_request_duration_seconds_sum", labels) or 0.0) > 0


def _counted(app: Flask) -> dict[str, float]:
    """How many requests were counted, by their routes."""
    return {
        sample.labels["route"]: sample.value
        for family in parts_of(app).metrics.registry.collect()
        for sample in family.samples
        if sample.name == "scoring_http_requests_total" and sample.value
    }


def _rules(app: Flask) -> set[str]:
    return {rule.rule for rule in app.url_map.iter_rules()}


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "t0ken"},
            {"x-api-key": "123321"},
        ),
        *(
            {"Authorization": text}
            for text in ("", "Bearer", "Bearer ", "Bearert0ken", "Basic t0ken")
        ),
        *({"Authorization": text} for text in ("Bearer t0ken x", "Bearer\tt0ken", "Bearer té")),
    ],
)
def test_the_metrics_page_asks_for_its_own_token(
    headers: dict[str, str], make_app: AppMaker
) -> None:
    client = make_app(metrics_token="t0ken").test_client()
    reply = client.get("/metrics", headers=headers)
    assert reply.status_code == 401
    assert mentions(failure(reply), "bearer token", "missing", "wrong")
    assert client.get("/metrics", headers={"Authorization": "Bearer t0ken"}).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEARER", "Bearer "])
def test_the_schemes_letters_may_be_of_either_case(scheme: str, make_app: AppMaker) -> None:
    client = make_app(metrics_token="t0ken").test_client()
    given = {"Authorization": f"{scheme} t0ken"}
    assert client.get("/metrics", headers=given).status_code == 200
    assert client.get("/metrics", headers={"Authorization": f"{scheme} T0KEN"}).status_code == 401


def test_without_a_token_there_is_no_metrics_page(client: FlaskClient, key: dict[str, str]) -> None:
    assert client.get("/metrics", headers=key).status_code == 404


def test_metrics_name_the_key_and_never_hold_it(
    make_app: AppMaker, request_body: dict[str, Any]
) -> None:
    client = make_app(metrics_token="t0ken", api_keys="partner:wL9xQ").test_client()
    strange = {**request_body, "camera_class": "Неведомая"}
    for body in (request_body, strange, [strange, strange]):
        client.post("/reg/", json=body, headers={"x-api-key": "wL9xQ"})
    page = client.get("/metrics", headers={"Authorization": "Bearer t0ken"}).text
    assert 'key="partner"' in page
    assert "wL9xQ" not in page
    assert 'scoring_rows_total{result="scored"} 4.0' in page
    assert 'scoring_unseen_categories_total{feature="camera_class"} 3.0' in page
    assert "Неведомая" not in page


def test_strange_methods_and_addresses_make_no_new_series(make_app: AppMaker) -> None:
    client = make_app(metrics_token="t0ken").test_client()
    for number in range(20):
        client.open(f"/nowhere/{number}", method=f"BREW{number}")
    page = client.get("/metrics", headers={"Authorization": "Bearer t0ken"}).text
    lines = [line for line in page.splitlines() if line.startswith("scoring_http_requests_total")]
    assert [line for line in lines if "other" in line or "BREW" in line] == [
        'scoring_http_requests_total{key="",method="other",route="unmatched",status="404"} 20.0'
    ]
    assert "nowhere" not in page


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("GET", "/reg/", {"POST", "OPTIONS"}),
        ("GET", "/reg", {"POST", "OPTIONS"}),
        ("DELETE", "/reg/", {"POST", "OPTIONS"}),
        ("POST", "/", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/healthz", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/openapi.json", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_a_405_that_says_which_are_right(
    method: str, address: str, allowed: set[str], client: FlaskClient, key: dict[str, str]
) -> None:
    reply = client.open(address, method=method, headers=key)
    assert reply.status_code == 405
    assert set(re.split(", ?", reply.headers["Allow"])) == allowed
    assert mentions(failure(reply), "method", "not allowed")


@pytest.mark.parametrize("address", ["/nowhere", "/reg/1", "/REG/", "/docs/none.js", "//reg/"])
def test_an_unknown_address_is_a_404(
    address: str, client: FlaskClient, key: dict[str, str]
) -> None:
    # By the environ: a path that begins with two slashes would be read as a host's name.
    reply = client.post("/", json={}, headers=key, environ_overrides={"PATH_INFO": address})
    assert reply.status_code == (405 if address.startswith("/docs") else 404)
    assert reply.json
    assert reply.json["status"] == "fail"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8443"])
def test_no_page_and_no_redirect_repeats_the_host_that_a_client_sent(
    host: str, client: FlaskClient
) -> None:
    moved = client.get("/docs", headers={"Host": host})
    assert (moved.status_code, moved.headers["Location"]) == (308, "/docs/")
    assert moved.text == ""
    page = client.get("/docs/", headers={"Host": host})
    assert page.status_code == 200
    assert '"oauth2RedirectUrl": null' in page.text
    assert host not in page.text
    for rule in ("/openapi.json", "/nowhere", "/docs/none", "/reg//", "/model/", "/healthz/"):
        reply = client.get(rule, headers={"Host": host})
        assert "Location" not in reply.headers
        assert host not in reply.text


def test_the_home_page_says_ok_to_a_key(client: FlaskClient, key: dict[str, str]) -> None:
    assert client.get("/", headers=key).json == {"body": "ok", "status": "ok"}


def test_probes_answer_without_a_key(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"body": "alive", "status": "ok"}
    assert client.get("/readyz").json == {"body": "ready", "status": "ok"}


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "application/json",
            "application/json; charset=utf-8",
            'application/json;charset="UTF-8"',
        ),
        *(
            "APPLICATION/JSON",
            "text/json",
            "application/vnd.api+json",
            "application/json; charset=utf8",
        ),
        *(
            f"application/json; {parameter}"
            for parameter in (
                *("charset='utf-8'", "charset = utf-8", "Charset=UTF_8", 'charset="us-ascii"'),
                *("charset= 'utf8' ", "version=1; charset=utf-8", "charset=utf-8;"),
            )
        ),
    ],
)
def test_kinds_of_json_are_taken(
    kind: str, client: FlaskClient, key: dict[str, str], request_body: dict[str, Any]
) -> None:
    reply = client.post("/reg/", data=json.dumps(request_body), content_type=kind, headers=key)
    assert reply.status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        *("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"),
        *("application/xml", "application/json; charset=cp1251", "application/json;charset=utf-16"),
        *(
            "application/json; charset='cp1251'",
            "application/json; charset = utf-16",
            "'application/json'",
        ),
        *("application/jsonx", "*/*", "image/json+", "application/json, text/plain"),
    ],
)
def test_any_other_kind_is_a_415(
    kind: str, client: FlaskClient, key: dict[str, str], request_body: dict[str, Any]
) -> None:
    reply = client.post("/reg/", data=json.dumps(request_body), content_type=kind, headers=key)
    assert reply.status_code == 415
    assert reply.json
    assert reply.json["status"] == "fail"


def test_a_compressed_body_is_a_415(client: FlaskClient, key: dict[str, str]) -> None:
    headers = {**key, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert client.post("/reg/", data=b"\x1f\x8b", headers=headers).status_code == 415
