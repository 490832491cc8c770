"""Settings come from the environment over a .env file; a bad one stops the start by its name."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from service import VERSION
from service.config.addresses import is_loopback
from service.config.settings import (
    FIELDS,
    PREFIX,
    Settings,
    SettingsError,
    load,
    renamed_variables,
    variable,
)
from service.config.settings import unknown_variables as unknown
from tests.support.example import example
from tests.support.messages import states, stating
from tests.support.paths import ROOT
from tests.support.server import refused

_DSN = "https://wL9x@errors.example/17"
_TOKEN_FILE = str(ROOT / "tests/support/token.txt")
_BROKER = "amqp://jobs:wL9x@queue:5672/scoring"
_BROKER_FILE = str(ROOT / "tests/support/broker.txt")
_CLICKHOUSE_FILE = str(ROOT / "tests/support/clickhouse.txt")
_MONGODB_FILE = str(ROOT / "tests/support/mongodb.txt")
_REDIS_FILE = str(ROOT / "tests/support/redis.txt")
_SECRETS: dict[str, Any] = {
    "api_keys": "partner:wL9x",
    "metrics_token": "wL9x-token",
    "sentry_dsn": _DSN,
    "broker": _BROKER,
    "records": "redis://:wL9x@records:6379/0",
}


@pytest.fixture
def dotenv(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_the_defaults_serve_on_loopback_with_the_example_key(dotenv: Path) -> None:
    settings = load({}, dotenv)
    assert settings.binds == ["127.0.0.1:5000"]
    assert settings.api_keys == "example:123321"
    assert settings.unseen == "accept"
    assert settings.workers == 0


_GOOD: dict[str, tuple[str, Any]] = {
    "host": ("10.0.0.1", "10.0.0.1"),
    "port": ("8080", 8080),
    "workers": ("3", 3),
    "model": ("some.cbm", "some.cbm"),
    "positive_class": ("network", "network"),
    "extra_models": ("digits, toy", "digits, toy"),
    "registry": ("s3://bucket/models", "s3://bucket/models"),
    "registry_cache": ("/var/cache/models", "/var/cache/models"),
    "registry_poll_seconds": ("0.5", 0.5),
    "max_slowdown": ("2.5", 2.5),
    "parity_rows": ("50", 50),
    "parity_max_flips": ("0.1", 0.1),
    "parity_max_flips_in_class": ("0.3", 0.3),
    "parity_max_difference": ("0.2", 0.2),
    "admins": ("ops, night", "ops, night"),
    "api_keys": ("a:b,c:d", "a:b,c:d"),
    "api_keys_file": ("/run/keys", "/run/keys"),
    "max_body": ("2048", 2048),
    "max_array_body": ("4096", 4096),
    "max_rows": ("7", 7),
    "unseen": ("reject", "reject"),
    "guards": ("camera_type=reject, month = accept", "camera_type=reject, month = accept"),
    "cost_network_wrong": ("5", 5.0),
    "cost_camera_wrong": ("2.5", 2.5),
    "cost_manual": ("0", 0.0),
    "thresholds": ("costs", "costs"),
    "metrics_token": ("t", "t"),
    "metrics_token_file": (_TOKEN_FILE, _TOKEN_FILE),
    "metrics_bind": ("127.0.0.1:9100", "127.0.0.1:9100"),
    "keepalive": ("5", 5),
    "graceful_timeout": ("6", 6),
    "max_waiting": ("7", 7),
    "max_wait_ms": ("50", 50),
    "explain_rows": ("7", 7),
    "drain_seconds": ("8", 8),
    "log_level": ("debug", "debug"),
    "log_form": ("human", "human"),
    "log_sample": ("0.25", 0.25),
    "sentry_dsn": (_DSN, _DSN),
    "otlp_endpoint": ("http://collector:4318", "http://collector:4318"),
    "environment": ("test-2", "test-2"),
    "release": ("1.2.3+a", "1.2.3+a"),
    "shadow_share": ("0.1", 0.1),
    "shadow_queue_rows": ("50", 50),
    "capture": ("0.1", 0.1),
    "capture_dir": ("/srv/captured", "/srv/captured"),
    "capture_plates": ("yes", "yes"),
    "capture_mb": ("10", 10),
    "capture_days": ("7", 7),
    "decisions": ("required", "required"),
    "decisions_dir": ("/srv/decisions", "/srv/decisions"),
    "decisions_spool_mb": ("20", 20),
    "decisions_days": ("365", 365),
    "decisions_audit": ("0.05", 0.05),
    "quality_limit": ("0.02", 0.02),
    "quality_days": ("7", 7),
    "reviewers": ("desk", "desk"),
    "web_host": ("10.0.0.1", "10.0.0.1"),
    "web_port": ("8081", 8081),
    "web_workers": ("2", 2),
    "web_threads": ("8", 8),
    "web_metrics_bind": ("127.0.0.1:9101", "127.0.0.1:9101"),
    "web_dashboards": ("https://grafana.example", "https://grafana.example"),
    "images_workers": ("2", 2),
    "image_url_hosts": ("a.example,b.example", "a.example,b.example"),
    "image_url_private_hosts": ("pictures.internal", "pictures.internal"),
    "digits_data": ("/srv/digits", "/srv/digits"),
    "trainers": ("cameras", "cameras"),
    "train_seconds": ("60", 60.0),
    "history_entries": ("10", 10),
    "history_key_mb": ("2", 2),
    "history_mb": ("5", 5),
    "worker_metrics_bind": ("127.0.0.1:9102", "127.0.0.1:9102"),
    "amqp_models": ("digits, cat", "digits, cat"),
    "broker": (_BROKER, _BROKER),
    "broker_file": (_BROKER_FILE, _BROKER_FILE),
    "records": ("redis://records:6379/1", "redis://records:6379/1"),
    "records_file": (_REDIS_FILE, _REDIS_FILE),
    "cache": ("redis://cache:6379/1", "redis://cache:6379/1"),
    "cache_file": (_REDIS_FILE, _REDIS_FILE),
    "cache_secret": ("s" * 32, "s" * 32),
    "cache_secret_file": (_TOKEN_FILE, _TOKEN_FILE),
    "cache_seconds": ("60", 60.0),
    "jobs_dir": ("/srv/jobs", "/srv/jobs"),
    "job_max_mb": ("10", 10),
    "jobs_max_waiting": ("100", 100),
    "job_memory_mb": ("64", 64),
    "job_keep_hours": ("0.5", 0.5),
    "job_attempts": ("5", 5),
    "job_lease_seconds": ("10", 10.0),
    "job_checkpoint_rows": ("500", 500),
    "job_workers": ("2", 2),
    "webhooks_file": ("/run/webhooks", "/run/webhooks"),
    "webhook_allowed_hosts": ("hooks.internal", "hooks.internal"),
    "decisions_parquet": ("off", "off"),
    "clickhouse": ("http://u:p@clickhouse:8123/scoring",) * 2,
    "clickhouse_file": (_CLICKHOUSE_FILE, _CLICKHOUSE_FILE),
    "mongodb": ("mongodb://u:p@a:27017,b:27017/scoring?tls=true",) * 2,
    "mongodb_file": (_MONGODB_FILE, _MONGODB_FILE),
    "sink_metrics_bind": ("127.0.0.1:9103", "127.0.0.1:9103"),
}


# What a setting can't be without.
_NEEDED = {field: {"SCORING_CACHE_SECRET": "s" * 32} for field in ("cache", "cache_file")}


def test_every_setting_has_an_example_here() -> None:
    assert set(_GOOD) == set(FIELDS)


@pytest.mark.parametrize("field", _GOOD)
def test_a_setting_is_read_from_its_variable(field: str, dotenv: Path) -> None:
    text, value = _GOOD[field]
    assert getattr(load({variable(field): text, **_NEEDED.get(field, {})}, dotenv), field) == value


@pytest.mark.parametrize("field", _GOOD)
def test_a_setting_is_read_from_dotenv(field: str, dotenv: Path) -> None:
    text, value = _GOOD[field]
    dotenv.write_text(f"# a comment\n{variable(field)}={text}\n")
    assert getattr(load(_NEEDED.get(field, {}), dotenv), field) == value


@pytest.mark.parametrize("field", _GOOD)
def test_the_environment_wins_over_dotenv(field: str, dotenv: Path) -> None:
    text, value = _GOOD[field]
    dotenv.write_text(f"{variable(field)}=nonsense\n")
    assert getattr(load({variable(field): text, **_NEEDED.get(field, {})}, dotenv), field) == value


@pytest.mark.parametrize("field", _GOOD)
def test_an_empty_value_counts_as_not_set(field: str, dotenv: Path) -> None:
    dotenv.write_text(f"{variable(field)}=\n")
    assert load({variable(field): ""}, dotenv) == load({}, dotenv.with_name("none"))


_FORMER = {
    "SCORING_SHADOW_ROOM": ("shadow_queue_rows", "50"),
    "SCORING_MODELS": ("registry", "s3://bucket/models"),
    "SCORING_MODELS_CACHE": ("registry_cache", "/var/cache/models"),
    "SCORING_MODELS_POLL_SECONDS": ("registry_poll_seconds", "0.5"),
}


@pytest.mark.parametrize("old", _FORMER)
def test_a_former_name_is_accepted_and_reported(old: str, dotenv: Path) -> None:
    field, text = _FORMER[old]
    assert load({old: text}, dotenv) == load({variable(field): text}, dotenv)
    assert renamed_variables({old: text}, dotenv) == {old: variable(field)}
    assert renamed_variables({variable(field): text}, dotenv) == {}
    assert unknown({old: text}, dotenv) == []


@pytest.mark.parametrize("old", _FORMER)
def test_two_names_of_a_setting_must_agree(old: str, dotenv: Path) -> None:
    field, text = _FORMER[old]
    dotenv.write_text(f"{old}={text}\n")
    assert load({variable(field): text}, dotenv) == load({old: text}, dotenv)
    with pytest.raises(SettingsError) as caught:
        load({variable(field): f"{text}0"}, dotenv)
    assert caught.value.variable == old
    assert variable(field) in str(caught.value)


def test_a_bad_value_is_reported_by_the_name_that_is_set(dotenv: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"SCORING_MODELS_POLL_SECONDS": "often"}, dotenv)
    assert caught.value.variable == "SCORING_MODELS_POLL_SECONDS"


_BAD = [
    *(("port", value) for value in ("0", "65536", "-1", "x", "5000.5", "1e3x", "true", "null")),
    *(("workers", value) for value in ("-1", "513", "two", "1.5")),
    ("extra_models", "digits;toy"),
    ("amqp_models", "digits;toy"),
    *(("max_body", value) for value in ("0", "1023", "64k", "-1")),
    *(("max_array_body", value) for value in ("0", "1023", "16M")),
    *(("max_rows", value) for value in ("0", "-5", "many")),
    *(("explain_rows", value) for value in ("0", "101", "many")),
    *(("unseen", value) for value in ("ACCEPT", "ignore", "1")),
    *(("guards", value) for value in ("camera_type", "=reject", "camera_type=Reject", "=")),
    *(("guards", value) for value in ("direction=reject", "month=normalise")),
    ("guards", "month=reject,month=accept"),
    *(("cost_network_wrong", value) for value in ("0", "-1", "nan", "inf", "1e10", "much")),
    *(("cost_camera_wrong", value) for value in ("0", "-1", "nan", "inf")),
    *(("cost_manual", value) for value in ("-0.1", "nan", "inf")),
    *(("keepalive", value) for value in ("0", "-1", "long")),
    *(("graceful_timeout", value) for value in ("0", "x")),
    *(("log_level", value) for value in ("INFO", "verbose", "20")),
    *(("log_form", value) for value in ("JSON", "text")),
    *(("log_sample", value) for value in ("-0.1", "1.1", "10%", "nan")),
    *(("sentry_dsn", value) for value in ("yes", "https://errors.example/1", "https://k@h/", "1")),
    *(("sentry_dsn", value) for value in ("https://k@h/name", "ftp://k@h/1", "https://k@h:x/1")),
    *(("otlp_endpoint", value) for value in ("collector:4318", "http://", "grpc://h:4317")),
    *(("otlp_endpoint", value) for value in ("http://u:p@h", "http://h:99999", "http://h?x=1")),
    *(("web_host", value) for value in ("unix:", "no.such.host.invalid")),
    *(("web_port", value) for value in ("0", "http")),
    *(("web_threads", value) for value in ("1", "257")),
    *(
        (f"{of}_metrics_bind", value)
        for of in ("web", "worker", "sink")
        for value in ("9100", "h:1")
    ),
    *(
        ("clickhouse", value)
        for value in ("clickhouse:8123", "http://c", "http://c:x/d", "tcp://c/d")
    ),
    *(("mongodb", value) for value in ("m:27017/d", "mongodb://m", "mongodb:///d", "http://m/d")),
    ("web_metrics_bind", "127.0.0.1:5001"),
    *(("broker", value) for value in ("queue:5672", "amqp://", "redis://queue", "amqp://q:x")),
    *(("records", value) for value in ("r:6379", "redis://", "http://r", "redis://r/name")),
    ("records", "redis://r:x"),
    *(("job_max_mb", value) for value in ("0", "10241")),
    *(("job_attempts", value) for value in ("0", "21")),
    *(("job_memory_mb", value) for value in ("63", "1048577")),
    *(("job_keep_hours", value) for value in ("0", "-1", "nan")),
    *(("environment", value) for value in ("a b", "a/b", "я", "x" * 65)),
    *(("release", value) for value in ("a\nb", "a/b")),
]


@pytest.mark.parametrize(("field", "value"), _BAD)
def test_a_bad_value_names_its_variable(field: str, value: str, dotenv: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load({variable(field): value}, dotenv)
    assert caught.value.variable == variable(field)
    assert str(caught.value).startswith(f"{variable(field)}: ")
    assert len(str(caught.value)) > len(variable(field)) + 2


_COMMA = ("a point", "comma")


@pytest.mark.parametrize(
    ("field", "value", "facts"),
    [
        ("log_sample", "0,1", ("a number", "0 to 1", *_COMMA)),
        ("cost_manual", " 0,3 ", ("a number", "0 to 1000000000", *_COMMA)),
        ("max_slowdown", "-1,5", ("a number", "above 0", *_COMMA)),
        ("cost_camera_wrong", "1,", ("a number", "above 0", "at most 1000000000")),
        ("log_sample", "wL9x", ("a number", "0 to 1")),
        ("log_sample", "1.5", ("a number", "0 to 1")),
        ("workers", "1,5", ("a whole number", "0 to 64")),
        ("port", "the-usual", ("a whole number", "1 to 65535")),
        ("port", "1e400", ("a whole number", "1 to 65535")),
        ("keepalive", "wL9x", ("a whole number", "at least 1")),
        ("log_level", "wL9x", ("one of", "debug, error, info, warning")),
        ("metrics_token", "wL9x wL9x", (r"^[!-~]*\Z",)),
    ],
)
def test_an_error_message_says_plainly_what_a_value_must_be(
    field: str, value: str, facts: tuple[str, ...], dotenv: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        load({variable(field): value}, dotenv)
    assert states(str(caught.value), f"{variable(field)}: ", *facts)
    assert value not in str(caught.value)


def test_every_number_with_a_decimal_comma_is_reported_as_such(dotenv: Path) -> None:
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    numbers = [field for field in FIELDS if schema[field].get("type") == "number"]
    assert len(numbers) >= 9
    for field in numbers:
        with pytest.raises(SettingsError, match=stating(*_COMMA)):
            load({variable(field): "0,5"}, dotenv)


def test_a_mark_of_utf8_at_the_begin_of_dotenv_is_no_part_of_a_name(dotenv: Path) -> None:
    dotenv.write_text("SCORING_API_KEYS=mine:k\nSCORING_PORT=80\n", "utf-8-sig")
    assert load({}, dotenv).api_keys == "mine:k"
    assert unknown({}, dotenv) == []


@pytest.mark.parametrize("dsn", ["https://wL9x@host:port/1", "wL9x", "https://wL9x@host/"])
def test_a_bad_dsn_is_not_repeated(dsn: str, dotenv: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"SCORING_SENTRY_DSN": dsn}, dotenv)
    assert "wL9x" not in str(caught.value)


def test_the_release_is_the_projects_version_unless_another_is_given() -> None:
    assert Settings().version == VERSION
    assert Settings(release="7").version == "7"


def test_secrets_are_masked_when_settings_are_shown() -> None:
    shown = repr(Settings(**_SECRETS))
    assert "wL9x" not in shown
    assert "api_keys='***'" in shown.replace("=***", "='***'")
    assert "host='127.0.0.1'" in shown
    assert "wL9x" not in str(Settings(**_SECRETS))


def test_no_secret_comes_out_with_a_bad_neighbour(dotenv: Path) -> None:
    given = {variable(field): value for field, value in _SECRETS.items()}
    with pytest.raises(SettingsError) as caught:
        load({**given, "SCORING_PORT": "wL9x-port"}, dotenv)
    assert "wL9x" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_other_variables_are_ignored_and_misspelt_ones_are_reported(dotenv: Path) -> None:
    dotenv.write_text("SCORING_HOSTT=x\nOTHER=y\n")
    environ = {"SCORING_KEEP_ALIVE": "5", "HOME": "/root", "SCORING_PORT": "80"}
    assert load(environ, dotenv).port == 80
    assert unknown(environ, dotenv) == ["SCORING_HOSTT", "SCORING_KEEP_ALIVE"]


_NEAR = {
    "scoring_api_keys": "scoring_api_keys",
    "Scoring_Api_Keys": "Scoring_Api_Keys",
    "SCORING-API-KEYS": "SCORING-API-KEYS",
    "SCORING.API.KEYS": "SCORING.API.KEYS",
    "SCORING__API_KEYS": "SCORING__API_KEYS",
    "SCORING_API_KEYS:": "SCORING_API_KEYS:",
    "SСORING_API_KEYS": r"S\u0421ORING_API_KEYS",  # Cyrillic
    "sсoring_арi_kеys": r"s\u0441oring_\u0430\u0440i_k\u0435ys",
    "SCORING_ΑPI_KEYS": r"SCORING_\u0391PI_KEYS",  # Greek
    "SCORING_API_KEYS\u200b": r"SCORING_API_KEYS\u200b",
    "SCORING\u2013API\u2013KEYS": r"SCORING\u2013API\u2013KEYS",
    "ＳCORING_API_KEYS": r"\uff33CORING_API_KEYS",
}


@pytest.mark.parametrize("in_dotenv", [True, False])
@pytest.mark.parametrize("name", _NEAR)
def test_a_name_that_only_looks_like_a_settings_stops_the_start(
    name: str, dotenv: Path, *, in_dotenv: bool
) -> None:
    """The example key would be in force in its place."""
    if in_dotenv:
        dotenv.write_text(f"{name}=a:wL9x\n")
    with pytest.raises(SettingsError) as caught:
        load({} if in_dotenv else {name: "a:wL9x"}, dotenv)
    reason = "it sets nothing, but looks like SCORING_API_KEYS: write that"
    assert str(caught.value) == f"{_NEAR[name]}: {reason}"
    assert load({name: ""}, dotenv.with_name("none")) == load({}, dotenv.with_name("none"))


def test_misspelt_names_in_other_letters_are_reported(dotenv: Path) -> None:
    given = {"scoring_hostt": "x", "SСORING_X": "y", "rescoring_host": "z", "API_KEYS": "k"}
    assert unknown(given, dotenv) == ["SСORING_X", "scoring_hostt"]


def test_a_keys_file_alone_takes_the_example_key_out_of_force(dotenv: Path) -> None:
    assert load({"SCORING_API_KEYS_FILE": "/run/keys"}, dotenv).api_keys == ""


@pytest.mark.parametrize(
    ("host", "bind"),
    [
        ("0.0.0.0", "0.0.0.0:5000"),
        ("::1", "[::1]:5000"),
        ("localhost", "localhost:5000"),
        ("unix:/run/scoring.sock", "unix:/run/scoring.sock"),
    ],
)
def test_the_address_is_in_gunicorns_form(host: str, bind: str) -> None:
    assert Settings(host=host).binds == [bind]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]")),
        *((host, True) for host in ("unix:/run/s", "::ffff:127.0.0.1", "[::ffff:127.3.2.1]")),
        *((host, False) for host in ("::ffff:10.0.0.1", "::ffff:0.0.0.0", "127.1", "127.0.0.1:80")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "", "0", "*")),
    ],
)
def test_only_loopback_and_sockets_are_this_machine(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_example_file_has_every_setting_with_its_default_and_description() -> None:
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    defaults = {"api_keys": "example:123321"}
    expected = [
        (
            schema[field]["description"],
            variable(field),
            str(defaults.get(field, schema[field]["default"])),
        )
        for field in FIELDS
    ]
    assert example(PREFIX) == expected


def test_the_example_file_changes_nothing(dotenv: Path) -> None:
    assert load({}, ROOT / ".env.example") == load({}, dotenv)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("port", "http"), ("unseen", "maybe"), ("model", "none.cbm"), ("api_keys_file", "none")),
        *(("sentry_dsn", "https://errors.example"), ("otlp_endpoint", "collector")),
        *(("metrics_token_file", "none"), ("guards", "camera_klass=reject"), ("cost_manual", "-1")),
    ],
)
def test_the_server_does_not_start_on_a_bad_value(name: str, value: str, tmp_path: Path) -> None:
    ran = refused(tmp_path, **{name: value})
    assert ran.returncode == 78
    assert ran.stderr.startswith(f"Not started. SCORING_{name.upper()}: ")
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["unix:", "no-such-host.invalid", "300.1.1.1"])
def test_a_host_that_cannot_be_listened_on_is_refused_by_name(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SCORING_HOST"):
        load({"SCORING_HOST": host}, tmp_path / "none.env")


def test_an_address_in_brackets_is_taken(tmp_path: Path) -> None:
    assert load({"SCORING_HOST": "[::1]"}, tmp_path / "none.env").binds == ["[::1]:5000"]


def test_a_dotenv_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.env").write_bytes(b"SCORING_PORT=\xff\n")
    with pytest.raises(SettingsError, match=r"bad\.env"):
        load({}, tmp_path / "bad.env")


@pytest.mark.parametrize(
    "bad",
    [
        *('SCORING_API_KEYS="a:wL9x', "SCORING_API_KEYS a:wL9x", "=wL9x", "SCORING_API_KEYS"),
        *("export SCORING_API_KEYS", "SCORING_API_KEYS # a:wL9x", "SCORING_API_KEYS:a:wL9x", "x"),
    ],
)
def test_a_line_of_dotenv_that_is_no_setting_stops_the_start(bad: str, dotenv: Path) -> None:
    dotenv.write_text(f"# keys\n\nSCORING_PORT=80\n\n{bad}\nSCORING_WORKERS=1\n")
    with pytest.raises(SettingsError, match=stating(".env: ", "line 5 ", "NAME=value")) as caught:
        load({}, dotenv)
    assert "wL9x" not in str(caught.value)


def test_a_dotenv_in_utf16_is_named_and_not_passed_over(dotenv: Path) -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        dotenv.write_text("SCORING_API_KEYS=mine:k\n", encoding)
        with pytest.raises(SettingsError, match=stating("UTF-16", "UTF-8")):
            load({}, dotenv)


def test_one_mark_of_utf8_is_no_part_of_the_metrics_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("t0ken\n", "utf-8-sig")
    named = {"SCORING_METRICS_TOKEN_FILE": str(path)}
    assert load(named, tmp_path / "none").metrics_token == "t0ken"
    path.write_text("t0ken\n", "utf-16-le")
    with pytest.raises(SettingsError) as refused:
        load(named, tmp_path / "none")
    reason = f"{path} can't be read as text: it looks like UTF-16, not UTF-8"
    assert str(refused.value) == f"SCORING_METRICS_TOKEN_FILE: {reason}"
