"""Keys: who may call, under which name, and how they change without a restart."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.auth import BadKeys, KeyRing, parse
from service.settings import Settings, SettingsError
from tests.conftest import AppMaker
from tests.support.server import refused


def _ring(keys: str = "", *, file: Path | None = None, host: str = "127.0.0.1") -> KeyRing:
    return KeyRing(Settings(api_keys=keys, api_keys_file=str(file or ""), host=host))


def test_each_of_several_keys_has_its_name() -> None:
    ring = _ring("first:k1, second:k2\nthird:k3 , bare,other")
    names = [ring.name_of(key) for key in (b"k1", b"k2", b"k3", b"bare", b"other")]
    assert names == ["first", "second", "third", "key-4", "key-5"]


@pytest.mark.parametrize(
    "wrong",
    ["", " ", "k", "k11", "K1", "first", "first:k1", "k1,k2", "k1, k1", " k1", "k1 ", "é", "\x00"],
)
def test_nothing_but_the_very_key_opens(wrong: str) -> None:
    assert _ring("first:k1,second:k2").name_of(wrong.encode()) is None


def test_a_key_may_hold_colons() -> None:
    assert _ring("partner:a:b:c").name_of(b"a:b:c") == "partner"


def test_keys_are_held_as_digests_only() -> None:
    ring = _ring("partner:wL9xQ")
    assert "wL9xQ" not in repr(vars(ring))


@pytest.mark.parametrize(
    "text", ["na me:k", "имя:k", "a/b:k", ":k", "name:", "name:ключ", "x" * 65 + ":k"]
)
def test_unusable_entries_are_refused_by_their_place(text: str) -> None:
    with pytest.raises(BadKeys, match=r"entry [12]"):
        parse(text.replace("na me", "a\x07b"), example_allowed=True)


def test_a_refusal_of_keys_tells_no_key() -> None:
    with pytest.raises(SettingsError) as caught:
        _ring("good:wL9x-1,bad name!:wL9x-2,b@d:wL9x-3")
    assert caught.value.variable == "SCORING_API_KEYS"
    assert "wL9x" not in str(caught.value)


@pytest.mark.parametrize("keys", [",", " ", ", ,"])
def test_settings_without_any_key_are_refused(keys: str) -> None:
    with pytest.raises(SettingsError, match="SCORING_API_KEYS"):
        _ring(keys)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org"])
@pytest.mark.parametrize("keys", ["example:123321", "123321", "mine:k,other:123321"])
def test_the_example_key_is_refused_off_loopback(host: str, keys: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"SCORING_API_KEYS: .*loopback"):
        _ring(keys, host=host)
    file = tmp_path / "keys"
    file.write_text(keys)
    with pytest.raises(SettingsError, match=r"SCORING_API_KEYS_FILE: .*loopback"):
        _ring(file=file, host=host)
    assert _ring("mine:k", host=host).name_of(b"k") == "mine"


@pytest.mark.parametrize("content", ["", "\n", "# only a comment\n", "b@d:k\n", b"\xff\xfe\x00"])
def test_a_keys_file_that_cannot_be_used_stops_the_start(
    content: str | bytes, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SettingsError) as caught:
        _ring(file=file)
    assert caught.value.variable == "SCORING_API_KEYS_FILE"


def test_a_missing_keys_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"SCORING_API_KEYS_FILE: .*No such file"):
        _ring(file=tmp_path / "none")
    with pytest.raises(SettingsError, match=r"SCORING_API_KEYS_FILE: .*directory"):
        _ring(file=tmp_path)


def test_a_keys_file_has_a_key_a_line_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# callers\nfirst:k1  # since spring\n\n  second:k2\nthird:k3,bare\r\n")
    ring = _ring("fixed:k0", file=file)
    names = [ring.name_of(key) for key in (b"k0", b"k1", b"k2", b"k3", b"bare")]
    assert names == ["fixed", "first", "second", "third", "key-4"]
    assert ring.name_of(b"since") is None


@pytest.fixture
def door(make_app: AppMaker) -> FlaskClient:
    return make_app(api_keys="first:k1,second:k2").test_client()


@pytest.mark.parametrize("key", ["k1", "k2"])
def test_a_key_in_the_header_opens_the_door(key: str, door: FlaskClient) -> None:
    reply = door.get("/", headers={"x-api-key": key})
    assert (reply.status_code, reply.json) == (200, {"body": "ok", "status": "ok"})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        *({"x-api-key": wrong} for wrong in ("", "k3", "k1,k2", "k1, k1", "first", "K1", "k1;")),
        {"Authorization": "Bearer k1"},
        {"Cookie": "x-api-key=k1"},
    ],
)
@pytest.mark.parametrize("address", ["/", "/reg/", "/reg", "/?x-api-key=k1"])
def test_a_missing_or_wrong_key_is_a_401(
    headers: dict[str, str], address: str, door: FlaskClient
) -> None:
    method = "POST" if "reg" in address else "GET"
    reply = door.open(address, method=method, headers=headers, data=b"{}")
    assert reply.status_code == 401
    assert reply.json == {"body": "the x-api-key header is missing or wrong", "status": "fail"}
    assert "WWW-Authenticate" in reply.headers


def test_the_server_does_not_start_with_the_example_key_on_an_open_address(tmp_path: Path) -> None:
    ran = refused(tmp_path, host="0.0.0.0", port="5999")
    assert ran.returncode == 78
    assert "Not started. SCORING_API_KEYS: " in ran.stderr
    assert "123321" not in ran.stderr + ran.stdout


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "127.0.0.1:0,0.0.0.0:0"])
def test_gunicorns_own_bind_does_not_open_an_address_to_the_example_key(
    bind: str, tmp_path: Path
) -> None:
    arguments = [part for address in bind.split(",") for part in ("--bind", address)]
    ran = refused(tmp_path, *arguments)
    assert ran.returncode == 78
    assert "Not started. SCORING_API_KEYS: " in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Listening at" not in ran.stdout
