"""Keys: who may call, under which name, and how they change without a restart."""

import string
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from service.config.settings import Settings, SettingsError
from service.http.api_keys import ApiKeys
from service.http.key_sources import BadKeys, entries, entries_of_file
from tests.support.messages import failure, mentions
from tests.support.parts import AppMaker
from tests.support.server import refused


def _ring(keys: str = "", *, file: Path | None = None, host: str = "127.0.0.1") -> ApiKeys:
    return ApiKeys(Settings(api_keys=keys, api_keys_file=str(file or ""), host=host))


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
    "key", ["имя:k", "a/b:k", ":k", "name:", "name:ключ", "x" * 65 + ":k", "a\x07b:k"]
)
def test_unusable_entries_are_refused_by_their_place(key: str) -> None:
    with pytest.raises(BadKeys, match=r"(name|key) in entry 2\b"):
        list(entries(f"good:k,{key}"))
    with pytest.raises(BadKeys, match=r"(name|key) in line 3\b"):
        list(entries_of_file(f"# callers\ngood:k\n{key}\n"))


@pytest.mark.parametrize(
    "line",
    [
        *("alice S3cretKeyOfAlice", "alice = key", "alice: key", "alice:key bob:key", "a\tb"),
        *("alice:key,bob:key", "alice,key", "alice:key\rbob:key", "alice\x0bkey", "a\u2028b"),
        "\ufeffalice:key x",
    ],
)
def test_more_than_one_word_in_a_line_makes_no_more_keys(line: str) -> None:
    with pytest.raises(BadKeys, match=r"^line 2 .*more than one word"):
        list(entries_of_file(f"good:k\n{line}  # a comment\n"))


@pytest.mark.parametrize("entry", ["alice S3cretKeyOfAlice", "alice = key", "alice: key", "a\tb"])
def test_blanks_within_an_entry_make_no_more_keys(entry: str) -> None:
    with pytest.raises(BadKeys, match=r"^entry 2 .*more than one word"):
        list(entries(f"good:k, {entry}"))
    with pytest.raises(SettingsError, match=r"^SCORING_API_KEYS: entry 1 .*one word"):
        _ring(entry)


def test_an_error_about_keys_contains_no_key() -> None:
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
    file.write_text(keys.replace(",", "\n"))
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
    file.write_text("# callers\nfirst:k1  # since spring\n\n  second:k2\nthird:k3\r\nbare#1\n")
    ring = _ring("fixed:k0", file=file)
    names = [ring.name_of(key) for key in (b"k0", b"k1", b"k2", b"k3", b"bare#1")]
    assert names == ["fixed", "first", "second", "third", "key-4"]
    assert ring.name_of(b"since") is None


@pytest.mark.parametrize("start", ["", "# callers\n"])
def test_one_mark_of_utf8_at_the_files_start_is_passed_over(start: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(f"{start}first:k1\nbare-key\n".encode("utf-8-sig"))
    ring = _ring(file=file)
    assert [ring.name_of(key) for key in (b"k1", b"bare-key")] == ["first", "key-2"]


@pytest.mark.parametrize("content", ["\ufeff\ufefffirst:k1\n", "first:k1\n\ufeffsecond:k2\n"])
def test_any_other_such_mark_is_part_of_a_name(content: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(SettingsError, match=r"name in line [12] .*letters"):
        _ring(file=file)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf16_is_named(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first:k1\n", encoding)
    with pytest.raises(SettingsError) as refused:
        _ring(file=file)
    reason = f"{file}: it looks like UTF-16, not UTF-8"
    assert str(refused.value) == f"SCORING_API_KEYS_FILE: {reason}"


_LONG = "Zq9-a-key-of-32-characters-xyz01"


@pytest.mark.parametrize(
    ("text", "held"),
    [
        *((_LONG, True), (f"id-{_LONG}", True), (f"{_LONG}-1", True), (f"a{_LONG}b", True)),
        *((_LONG[:-1], False), (_LONG.lower(), False), (_LONG[1:] + _LONG[:1], False)),
        # The other length there is, and one that is too short to be looked for in a text.
        *(("eightchr", True), ("x.eightchr.x", True), ("short", True), ("a-short-one", False)),
        *(("", False), ("x" * 128, False)),
    ],
)
def test_a_key_is_found_in_a_text(text: str, held: bool) -> None:  # noqa: FBT001 - a table
    ring = _ring(f"one:{_LONG},two:eightchr,three:short")
    assert ring.is_in(text) is held


@given(st.text(string.printable, max_size=40), st.text(string.printable, max_size=40))
def test_a_key_is_found_at_any_position(before: str, after: str) -> None:
    assert _RING_OF_ONE.is_in(before + _LONG + after)
    assert _RING_OF_ONE.is_in(before + after) is (_LONG in before + after)


_RING_OF_ONE = _ring(f"one:{_LONG}")


def test_only_keys_in_force_are_found(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"one:{_LONG}\n")
    ring = _ring("fixed:of-the-settings", file=file)
    assert ring.is_in(f"a {_LONG}")
    file.write_text("two:of-the-new-file\n")
    ring.reload_if_changed()
    held = {text: ring.is_in(f"a {text}") for text in (_LONG, "of-the-new-file", "of-the-settings")}
    assert held == {_LONG: False, "of-the-new-file": True, "of-the-settings": True}


_HERE = [
    *({}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-For": "::1, 127.8.8.8"}),
    *({"X-Real-IP": "::1"}, {"X-Forwarded-For": "::ffff:127.0.0.1"}, {"X-Forwarded-For": "unix:"}),
    *({"X-Forwarded-For": "127.0.0.1", name: "x"} for name in ("X-Forwarded-Proto", "Via")),
    *({"Host": host} for host in ("localhost:8000", "127.0.0.1", "127.8.8.8:80", "[::1]:8000")),
    *(
        {"Host": host}
        for host in ("scoring", "a:1", "LOCALHOST", "localhost.", "plates.localhost", "")
    ),
    {"Host": "plates.example", "X-Forwarded-For": "::1"},  # as it is known outside
]
_ELSEWHERE = [
    *({"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}),
    *({"X-Forwarded-For": "203.0.113.9, 127.0.0.1"}, {"X-Forwarded-For": "2001:db8::1"}),
    *({"X-Forwarded-For": "::ffff:203.0.113.9"}, {"X-Forwarded-For": "10.0.0.1"}),
    *({"X-Forwarded-For": ""}, {"X-Forwarded-For": "127.0.0.1,"}, {"X-Forwarded-For": "unknown"}),
    *({"X-Forwarded-For": "127.0.0.1.evil.example"}, {"X-Forwarded-For": "0x7f.1"}),
    *({"X-Forwarded-For": "0.0.0.0"}, {"X-Forwarded-For": "::"}, {"X-Real-IP": "203.0.113.9"}),
    *({"Forwarded": "for=203.0.113.9"}, {"Forwarded": "for=127.0.0.1"}),
    {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "203.0.113.9"},
    *({name: "127.0.0.1"} for name in ("Via", "X-Forwarded", "X-Forwarded-Host")),
    *({name: "443"} for name in ("X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-By")),
    *({name: "203.0.113.9"} for name in ("CF-Connecting-IP", "True-Client-IP", "X-Client-IP")),
    *({name: "203.0.113.9"} for name in ("Fly-Client-IP", "X-Envoy-External-Address")),
    {"X-Forwarded-For": "127.0.0.1", "X-Cluster-Client-IP": "203.0.113.9"},
    *({"Host": host} for host in ("plates.example", "203.0.113.9:8000", "[2001:db8::1]:80")),
    *({"Host": host} for host in ("127.0.0.1.evil.example", "10.0.0.1", "[::1", "localhost.x.y")),
]


@pytest.mark.parametrize("forwarded", _HERE)
def test_the_example_key_is_accepted_from_loopback(
    forwarded: dict[str, str], client: FlaskClient, key: dict[str, str]
) -> None:
    assert client.get("/", headers={**key, **forwarded}).status_code == 200


@pytest.mark.parametrize("forwarded", _ELSEWHERE)
@pytest.mark.parametrize(
    "method_and_path", ["GET /", "POST /reg/", "POST /reg", "POST /reg/explain"]
)
def test_the_example_key_is_refused_when_a_proxy_names_another_machine(
    method_and_path: str, forwarded: dict[str, str], client: FlaskClient, key: dict[str, str]
) -> None:
    method, path = method_and_path.split()
    reply = client.open(path, method=method, headers={**key, **forwarded})
    assert reply.status_code == 401
    assert mentions(failure(reply), "example key", "loopback")
    assert reply.headers["WWW-Authenticate"] == 'ApiKey header="x-api-key"'


@pytest.mark.parametrize("forwarded", _ELSEWHERE)
def test_any_other_key_is_good_from_everywhere(
    forwarded: dict[str, str], make_app: AppMaker
) -> None:
    client = make_app(api_keys="one:k1").test_client()
    assert client.get("/", headers={"x-api-key": "k1", **forwarded}).status_code == 200


@pytest.fixture
def keyed_client(make_app: AppMaker) -> FlaskClient:
    return make_app(api_keys="first:k1,second:k2").test_client()


@pytest.mark.parametrize("key", ["k1", "k2"])
def test_a_key_in_the_header_is_accepted(key: str, keyed_client: FlaskClient) -> None:
    reply = keyed_client.get("/", headers={"x-api-key": key})
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
    headers: dict[str, str], address: str, keyed_client: FlaskClient
) -> None:
    method = "POST" if "reg" in address else "GET"
    reply = keyed_client.open(address, method=method, headers=headers, data=b"{}")
    assert reply.status_code == 401
    assert mentions(failure(reply), "x-api-key", "missing", "wrong")
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
