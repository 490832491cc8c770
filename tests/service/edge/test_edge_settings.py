"""Settings become a configuration that nginx accepts, or stop with the variable's name."""

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from service.config.addresses import is_loopback
from service.config.settings import Settings as ServiceSettings
from service.edge.config import SERVICE_IDLE_SECONDS, WEB_REPLY_SECONDS, config
from service.edge.settings import (
    FIELDS,
    PREFIX,
    Settings,
    SettingsError,
    load,
    unknown_variables,
    variable,
)
from service.web.waiting import LONGEST
from tests.support.edge import make_certificates, nginx_says, render
from tests.support.example import example
from tests.support.messages import states, stating
from tests.support.paths import ROOT

_NONE: Final = Path("none.env")

# Text, value, and a line of the configuration that only this value makes.
_GOOD: Final[dict[str, tuple[str, Any, str]]] = {
    "listen": ("[::1]:9443", "[::1]:9443", "listen [::1]:9443 backlog="),
    "status_listen": ("127.0.0.1:9444", "127.0.0.1:9444", "listen 127.0.0.1:9444;"),
    "upstreams": ("a_1:5000, 127.0.0.1:81", "a_1:5000, 127.0.0.1:81", "server a_1:5000 max_fails"),
    "web_upstreams": ("w_1:5001, 127.0.0.1:82", "w_1:5001, 127.0.0.1:82", "server w_1:5001 max_fa"),
    "web_max_body": ("2049", 2049, "client_max_body_size 2049;"),
    "certificate": ("/c/s.crt", "/c/s.crt", "ssl_certificate /c/s.crt;"),
    "certificate_key": ("/c/s.key", "/c/s.key", "ssl_certificate_key /c/s.key;"),
    "client_certificates": ("required", "required", "ssl_verify_client on;"),
    "client_ca": ("/c/ca.crt", "/c/ca.crt", "ssl_client_certificate /c/ca.crt;"),
    "client_keys_file": ("/c/keys", "/c/keys", "include /c/keys;"),
    "rate_per_key": ("500", 500, "limit_req zone=key burst=500 nodelay;"),
    "rate_per_address": ("70", 70, "limit_req zone=address burst=70 nodelay;"),
    "burst_seconds": ("0.5", 0.5, "limit_req zone=key burst=250 nodelay;"),
    "connections_per_address": ("9", 9, "limit_conn connections 9;"),
    "max_body": ("2048", 2048, "client_max_body_size 2048;"),
    "large_requests": ("5", 5, "limit_conn large_key 3;"),
    "header_timeout": ("3", 3, "client_header_timeout 3s;"),
    "body_timeout": ("4", 4, "client_body_timeout 4s;"),
    "send_timeout": ("5", 5, "send_timeout 5s;"),
    "reply_timeout": ("6", 6, "proxy_read_timeout 6s;"),
    "keepalive": ("7", 7, "        keepalive_timeout 7s;"),
    "trusted_proxies": ("10.0.0.0/8, ::1", "10.0.0.0/8, ::1", "set_real_ip_from ::1;"),
    "admin_addresses": ("10.0.0.0/8, ::2", "10.0.0.0/8, ::2", "        ::2 1;"),
    "docs_addresses": ("203.0.113.0/24", "203.0.113.0/24", "        203.0.113.0/24 1;"),
    "workers": ("3", 3, "worker_processes 3;"),
    "workdir": ("/srv/edge", "/srv/edge", "pid /srv/edge/nginx.pid;"),
    "workdir_bytes": ("500000000", 500_000_000, "which has 500000000 bytes."),
    "log": ("/srv/edge.log", "/srv/edge.log", "access_log /srv/edge.log edge"),
}
# What a setting can't do without.
_WITH: Final = {
    "certificate": ("certificate_key",),
    "certificate_key": ("certificate",),
    "client_certificates": ("certificate", "certificate_key", "client_ca"),
    "client_ca": ("certificate", "certificate_key", "client_certificates"),
    "client_keys_file": ("certificate", "certificate_key", "client_certificates", "client_ca"),
    "burst_seconds": ("rate_per_key",),
    "web_max_body": ("web_upstreams",),
}


def _variables(*fields: str) -> dict[str, str]:
    return {variable(field): _GOOD[field][0] for field in fields}


def test_every_setting_has_an_example_here() -> None:
    assert set(_GOOD) == set(FIELDS)


@pytest.mark.parametrize("field", _GOOD)
def test_a_setting_reaches_the_configuration(field: str) -> None:
    _, value, line = _GOOD[field]
    others = _variables(*_WITH.get(field, ()))
    with_it = load(others | _variables(field), _NONE)
    assert getattr(with_it, field) == value
    assert line in config(with_it)
    assert line not in config(load({}, _NONE))


@pytest.mark.parametrize("field", _GOOD)
def test_the_environment_goes_before_the_file_and_an_empty_value_is_none(
    field: str, tmp_path: Path
) -> None:
    text, value, _ = _GOOD[field]
    dotenv, others = tmp_path / ".env", _variables(*_WITH.get(field, ()))
    dotenv.write_text(f"{variable(field)}={text}\n")
    assert getattr(load(others | {variable(field): ""}, dotenv), field) == value
    dotenv.write_text(f"{variable(field)}=non sense\n")
    assert getattr(load(others | {variable(field): text}, dotenv), field) == value
    with pytest.raises(SettingsError, match=variable(field)):
        load(others, dotenv)


_BAD: Final[list[tuple[str, str]]] = [
    *(("listen", value) for value in ("0", "65536", "x", "a b:1", "1;", "unix:/s", ":81", "8444")),
    *(
        ("status_listen", value)
        for value in ("8444", "127.0.0.1:", "127.0.0.1:0", "[::1", "h:8443")
    ),
    *(
        ("upstreams", value)
        for value in ("scoring", "a:1,,b:2", "a:1;b:2", "http://a:1", "a:99999")
    ),
    *(("upstreams", value) for value in ("я:1", "a:1 weight=2", "a:x", ",")),
    *(("certificate", value) for value in ("c.crt", "/c d", "/c;", "/c{", "/c$d", '/c"', "/c\n;")),
    *(("client_certificates", value) for value in ("on", "OFF", "true")),
    *(("rate_per_key", value) for value in ("-1", "1.5", "10r/s", "1000001")),
    *(("rate_per_address", value) for value in ("-1", "many")),
    *(("burst_seconds", value) for value in ("0", "61", "x")),
    *(("connections_per_address", value) for value in ("-1", "65536")),
    *(("max_body", value) for value in ("1023", "16m", "-1")),
    *(("web_upstreams", value) for value in ("5001", "я:1", "a:x", ",")),
    ("web_max_body", "1023"),
    *(("header_timeout", value) for value in ("0", "1s")),
    *(("body_timeout", value) for value in ("0", "3601")),
    *(("send_timeout", value) for value in ("0", "x")),
    *(("reply_timeout", value) for value in ("4", "3601")),
    *(("keepalive", value) for value in ("0", "x")),
    *(("trusted_proxies", value) for value in ("balancer", "10.0.0.1/8", "10.0.0.0/8,", "all;")),
    *(("admin_addresses", value) for value in ("everybody", "10.0.0.1/8", "all,::1", "::1;", ",")),
    *(("docs_addresses", value) for value in ("on", "10.0.0.0/33", "none,", "ALL")),
    *(("large_requests", value) for value in ("0", "1", "10001", "many")),
    *(("workdir_bytes", value) for value in ("0", "512m", "-1", "400000000")),
    *(("workers", value) for value in ("0", "65", "auto")),
    *(("workdir", value) for value in ("work", "/a b", "/a;")),
    *(("log", value) for value in ("stdout", "syslog:server=a", "/a b")),
]


@pytest.mark.parametrize(("field", "text"), _BAD)
def test_a_bad_value_is_named_by_its_variable(field: str, text: str) -> None:
    named = variable("status_listen" if (field, text) == ("listen", "8444") else field)
    with pytest.raises(SettingsError) as raised:
        load({variable(field): text}, _NONE)
    assert str(raised.value).startswith(f"{named}: ")


def test_a_decimal_comma_has_a_plain_error_message() -> None:
    with pytest.raises(SettingsError) as raised:
        load({"EDGE_BURST_SECONDS": "0,5"}, _NONE)
    assert states(str(raised.value), "EDGE_BURST_SECONDS: ", "0.1 to 60", "point", "comma")


_TOO_LITTLE: Final[list[dict[str, str]]] = [
    {"EDGE_WORKDIR_BYTES": "268435456"},
    {"EDGE_LARGE_REQUESTS": "21"},
    {"EDGE_MAX_BODY": "24000000"},
]


@pytest.mark.parametrize("given", _TOO_LITTLE)
def test_what_may_lie_in_the_folder_must_fit_there(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        load(given, _NONE)
    remedies = ("EDGE_LARGE_REQUESTS", "EDGE_MAX_BODY")
    assert states(str(raised.value), "EDGE_WORKDIR_BYTES: ", "bytes", *remedies)
    needed = re.search(r"\d+", str(raised.value))
    assert needed
    assert load({**given, "EDGE_WORKDIR_BYTES": needed[0]}, _NONE).bytes_needed == int(needed[0])
    with pytest.raises(SettingsError):
        load({**given, "EDGE_WORKDIR_BYTES": str(int(needed[0]) - 1)}, _NONE)


def test_the_bytes_needed_are_those_of_all_simultaneous_bodies_and_replies() -> None:
    given = {"EDGE_LARGE_REQUESTS": "3", "EDGE_MAX_BODY": "1000000"}
    # Three bodies with their replies of 8 MiB, and 16 pages of 2 MiB.
    assert load(given, _NONE).bytes_needed == 3 * (1_000_000 + 8 * 2**20) + 16 * 2 * 2**20


def test_it_listens_on_this_machine_only_unless_it_is_set_otherwise() -> None:
    assert is_loopback(Settings().listen.rpartition(":")[0])
    assert is_loopback(Settings().status_listen.rpartition(":")[0])


_CERTIFICATE: Final = _variables("certificate", "certificate_key")


@pytest.mark.parametrize(
    ("given", "named", "facts"),
    [
        (_variables("certificate"), "certificate_key", ("missing", "EDGE_CERTIFICATE ")),
        (_variables("certificate_key"), "certificate", ("missing", "EDGE_CERTIFICATE_KEY ")),
        (_CERTIFICATE | _variables("client_ca"), "client_ca", ("EDGE_CLIENT_CERTIFICATES", "off")),
        (_variables("client_keys_file"), "client_keys_file", ("EDGE_CLIENT_CERTIFICATES", "off")),
        (_variables("client_certificates"), "certificate", ("EDGE_CLIENT_CERTIFICATES",)),
        (_CERTIFICATE | _variables("client_certificates"), "client_ca", ("missing",)),
    ],
)
def test_settings_that_need_another_name_it(
    given: dict[str, str], named: str, facts: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as raised:
        load(given, _NONE)
    assert states(str(raised.value), f"{variable(named)}: ", *facts)


def test_a_dotenv_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"EDGE_LISTEN=\xff\xfe")
    with pytest.raises(SettingsError, match=stating(".env: ", "UTF-8")):
        load({}, tmp_path / ".env")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_certificates(tmp_path_factory.mktemp("certs"))
    (folder / "keys").write_text('client "one-key";\nother "another";\n')
    return folder


@pytest.mark.parametrize("limits", [{}, {"rate_per_key": "5"}, {"rate_per_address": "5"}])
@pytest.mark.parametrize("proxies", [{}, {"trusted_proxies": "10.0.0.0/8,::1"}])
@pytest.mark.parametrize("tls", ["plain", "off", "optional", "required", "keys"])
def test_nginx_accepts_what_is_made(
    limits: dict[str, str], proxies: dict[str, str], tls: str, certificates: Path, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    settings = {**limits, **proxies, "workdir": str(tmp_path / "work"), "log": "/dev/null"}
    settings |= {"listen": "127.0.0.1:18443", "status_listen": "127.0.0.1:18444"}
    if tls != "plain":
        settings |= {"certificate": f"{certificates}/server.crt"}
        settings |= {"certificate_key": f"{certificates}/server.key"}
    if tls not in ("plain", "off"):
        mode = "required" if tls == "keys" else tls
        settings |= {"client_certificates": mode, "client_ca": f"{certificates}/ca.crt"}
    if tls == "keys":
        settings |= {"client_keys_file": f"{certificates}/keys", "connections_per_address": "0"}
    path = tmp_path / "nginx.conf"
    named = {variable(field): text for field, text in settings.items()}
    path.write_text(config(load(named, _NONE)))
    checked = nginx_says(path)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr


def test_the_command_writes_the_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    made = render(tmp_path, "--output", str(path), listen="9443")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    assert path.read_text() == config(load({"EDGE_LISTEN": "9443"}, _NONE))
    assert path.read_text().startswith("# Made by `python -m service.edge` from settings.")
    assert [left.name for left in tmp_path.iterdir()] == ["nginx.conf"]


def test_no_link_that_somebody_laid_is_followed(tmp_path: Path) -> None:
    """In a folder that others may write to, under any name that can be foreseen."""
    path, victim = tmp_path / "nginx.conf", tmp_path / "victim"
    victim.write_text("untouched")
    for name in ("nginx.conf", "nginx.conf.new", ".nginx.conf.new", "nginx.conf.part"):
        (tmp_path / name).symlink_to(victim)
    assert render(tmp_path, "--output", str(path)).returncode == 0
    assert victim.read_text() == "untouched"
    assert not path.is_symlink()
    assert path.read_text().startswith("# Made by `python -m service.edge` from settings.")
    assert path.stat().st_mode & 0o777 == 0o644


def test_without_a_file_it_is_printed_and_dotenv_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EDGE_WORKERS=7\n")
    made = render(tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert "worker_processes 7;" in made.stdout


def test_the_command_stops_with_78_writes_nothing_and_names_the_variable(tmp_path: Path) -> None:
    stopped = render(tmp_path, "--output", str(tmp_path / "nginx.conf"), workers="many")
    assert (stopped.returncode, stopped.stdout) == (78, "")
    assert states(stopped.stderr, "EDGE_WORKERS: ", "whole number", "1 to 64")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "nginx.conf"
    stopped = render(tmp_path, "--output", str(path))
    assert (stopped.returncode, stopped.stdout) == (73, "")
    assert states(stopped.stderr, f"{path}: ", "No such file or directory")


def test_a_misspelt_variable_is_reported(tmp_path: Path) -> None:
    made = render(tmp_path, lisen="9443")
    assert made.returncode == 0
    assert states(made.stderr, "EDGE_LISEN: ", "ignored")
    assert unknown_variables({"EDGE_LISTEN": "1"}, _NONE) == []


def test_help_lists_every_setting(tmp_path: Path) -> None:
    shown = render(tmp_path, "--help").stdout
    assert [field for field in FIELDS if variable(field) not in shown] == []


def test_the_example_file_has_every_setting_with_its_default_and_description() -> None:
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    expected = [
        (schema[field]["description"], variable(field), str(schema[field]["default"]))
        for field in FIELDS
    ]
    assert example(PREFIX) == expected
    assert load({}, ROOT / ".env.example") == load({}, _NONE)


def test_the_defaults_fit_those_of_the_service() -> None:
    service, edge = ServiceSettings(), Settings()
    assert service.keepalive > SERVICE_IDLE_SECONDS
    assert edge.max_body >= service.max_array_body
    assert edge.servers == [f"{service.host}:{service.port}"]
    assert edge.web_servers == []
    assert edge.web_max_body > service.job_max_mb << 20
    assert WEB_REPLY_SECONDS > LONGEST
