"""Sessions: made from a key, carried by a cookie that only this address can use."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import time

import pytest
from werkzeug.test import TestResponse

from service.web.sessions import COOKIE, SECONDS, _signer
from tests.support.server import KEY
from tests.support.web import Web

PAGE = "/home/plates"
ELSEWHERE = {"X-Forwarded-For": "203.0.113.7"}


def sign_in(web: Web, key: str = KEY, **headers: str) -> TestResponse:
    return web.client.post("/home/sign-in", data={"key": key}, headers=headers)


def _status(web: Web, method: str = "GET", **headers: str) -> int:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return web.client.open(PAGE, method=method, headers=named).status_code


def test_a_key_opens_a_session_and_is_not_in_it(web: Web) -> None:
    assert _status(web) == 401
    reply = sign_in(web)
    assert (reply.status_code, reply.headers["Location"]) == (303, "/home")
    cookie = reply.headers["Set-Cookie"]
    assert KEY not in cookie
    for part in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={SECONDS}"):
        assert part in cookie
    assert "Secure" not in cookie, "it would be lost over HTTP"
    assert _status(web) == 200
    assert web.answered[-1].key_name == "example"
    assert KEY not in web.client.get(PAGE).text


def test_over_https_the_cookie_never_goes_over_http(web: Web) -> None:
    reply = sign_in(web, "of-another", **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "::1"})
    assert "Secure" in reply.headers["Set-Cookie"]


@pytest.mark.parametrize("key", ["", "wrong", "123321x", "ключ", "x" * 10_000])
def test_a_wrong_key_opens_none(web: Web, key: str) -> None:
    reply = sign_in(web, key)
    assert reply.status_code == 401
    assert "Set-Cookie" not in reply.headers
    assert 'role="alert"' in reply.text
    assert _status(web) == 401


def test_the_end_of_a_session(web: Web) -> None:
    sign_in(web)
    assert web.client.post("/home/sign-out").status_code == 303
    assert _status(web) == 401


def test_a_form_that_is_sent_after_the_end_says_so(web: Web) -> None:
    assert "session is over" in web.client.post(PAGE).text
    assert "session is over" not in web.client.get(PAGE).text


def test_a_session_ends_with_its_key(make_web: Callable[..., Web], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("alice:first-of-alice\nbob:the-key-of-bob\n")
    web = make_web(api_keys="", api_keys_file=str(keys))
    sign_in(web, "first-of-alice")
    assert _status(web) == 200
    keys.write_text("alice:second-of-alice\nbob:the-key-of-bob\n")
    assert web.keys.reload_if_changed() == "loaded"
    assert _status(web) == 401


def _with_token(web: Web, token: str) -> int:
    web.client.set_cookie(COOKIE, token)
    return _status(web)


@pytest.mark.parametrize("age", [0, SECONDS - 60])
def test_a_session_lasts_half_a_day(web: Web, age: int, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = _signer(sha256(KEY.encode()).digest())
    monkeypatch.setattr(signer, "get_timestamp", lambda: int(time()) - age)
    assert _with_token(web, signer.sign("example").decode()) == 200
    monkeypatch.setattr(signer, "get_timestamp", lambda: int(time()) - SECONDS - 1)
    assert _with_token(web, signer.sign("example").decode()) == 401


@pytest.mark.parametrize("name", ["other", "nobody", "", "example.x"])
def test_a_token_is_good_for_the_name_of_its_key_only(web: Web, name: str) -> None:
    signer = _signer(sha256(KEY.encode()).digest())
    assert _with_token(web, signer.sign("example").decode()) == 200
    assert _with_token(web, signer.sign(name).decode()) == 401


@pytest.mark.parametrize("token", ["x", "example", "example.a.b", "..", "example..", "é.1.2"])
def test_a_token_that_was_not_made_here_is_none(web: Web, token: str) -> None:
    assert _with_token(web, token) == 401


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 400), ("none", 400), ("same-site", 403), ("cross-site", 403)],
)
def test_pages_of_other_addresses_can_change_nothing(web: Web, site: str, status: int) -> None:
    sign_in(web)
    assert _status(web, "POST", Sec_Fetch_Site=site) == status
    assert _status(web, "GET", Sec_Fetch_Site=site) == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        *(("http://pages.example:5001", 400), ("http://pages.example", 403), ("null", 403)),
        *(("http://pages.example:8000", 403), ("http://a.example:5001", 403), ("http://[", 403)),
    ],
)
def test_over_plain_http_the_origin_says_whose_page_it_is(
    web: Web, origin: str, status: int
) -> None:
    """Browsers send Sec-Fetch-Site over HTTPS and to loopback alone."""
    address = "http://pages.example:5001"
    web.client.post("/home/sign-in", base_url=address, data={"key": "of-another"})
    reply = web.client.post(PAGE, base_url=address, headers={"Origin": origin})
    assert reply.status_code == status


@pytest.mark.parametrize("path", ["/home/sign-in", "/home/sign-out"])
def test_nor_can_they_sign_anybody_in_or_out(web: Web, path: str) -> None:
    reply = web.client.post(path, data={"key": KEY}, headers={"Sec-Fetch-Site": "same-site"})
    assert reply.status_code == 403
    assert "Set-Cookie" not in reply.headers


def test_a_session_of_the_example_key_is_for_this_machine(web: Web) -> None:
    sign_in(web)
    assert web.client.get(PAGE, headers=ELSEWHERE).status_code == 401
    assert sign_in(web, **ELSEWHERE).status_code == 401
    assert sign_in(web, "of-another", **ELSEWHERE).status_code == 303
    assert web.client.get(PAGE, headers=ELSEWHERE).status_code == 200


def test_a_key_admits_without_a_session_and_comes_first(web: Web) -> None:
    assert _status(web, x_api_key="of-another") == 200
    sign_in(web)
    assert _status(web, x_api_key="of-another") == 200
    assert web.answered[-1].key_name == "other"
    assert _status(web, x_api_key="wrong") == 401


def test_jobs_want_the_key_itself(web: Web) -> None:
    sign_in(web)
    assert web.client.get("/jobs").status_code == 401
