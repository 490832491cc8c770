"""Settings become a configuration that Alertmanager accepts, or stop with the variable's name."""

from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from monitoring import rules, slo
from monitoring.alertmanager.config import config
from monitoring.alertmanager.settings import (
    FIELDS,
    Settings,
    SettingsError,
    load,
    unknown_variables,
)
from monitoring.alertmanager.settings import variable as named
from tests.monitoring.tools import run
from tests.support.commands import Done, run_module
from tests.support.example import example
from tests.support.messages import states
from tests.support.paths import ROOT
from tests.support.vacuous import nonempty

_WEBHOOK: Final = {"ALERTMANAGER_WEBHOOK_URL": "http://bell.example:8080/ring"}
_MAIL: Final = {
    "ALERTMANAGER_EMAIL_TO": "ops@example.org, night@example.org",
    "ALERTMANAGER_EMAIL_FROM": "scoring@example.org",
    "ALERTMANAGER_SMTP_HOST": "mail.example.org:587",
}
_LOGIN: Final = {
    "ALERTMANAGER_SMTP_USER": "scoring",
    "ALERTMANAGER_SMTP_PASSWORD_FILE": "/run/secrets/smtp_password",
}
_TOKEN: Final = {"ALERTMANAGER_WEBHOOK_TOKEN_FILE": "/run/secrets/webhook_token"}


def _command(folder: Path, settings: dict[str, str], *arguments: str) -> Done:
    return run_module(folder, "monitoring.alertmanager", *arguments, settings=settings)


def _made(**settings: str) -> dict[str, Any]:
    return config(load(settings, Path("none.env")))


@pytest.mark.parametrize(
    "settings",
    [_WEBHOOK, _WEBHOOK | _TOKEN, _MAIL, _MAIL | _LOGIN, _WEBHOOK | _TOKEN | _MAIL | _LOGIN],
    ids=["webhook", "webhook-token", "mail", "mail-login", "all"],
)
def test_amtool_accepts_what_is_made(settings: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    made = _command(tmp_path, settings, "--output", str(path))
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    checked = run("amtool", "check-config", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    assert [left.name for left in tmp_path.iterdir()] == ["alertmanager.yml"]


def test_without_a_file_it_is_printed_and_says_what_made_it(tmp_path: Path) -> None:
    made = _command(tmp_path, _WEBHOOK)
    assert made.returncode == 0
    assert made.stdout.startswith("# Made by `python -m monitoring.alertmanager` from settings.")
    assert yaml.safe_load(made.stdout) == _made(**_WEBHOOK)


def test_secrets_stay_in_their_files() -> None:
    made = _made(**_WEBHOOK, **_TOKEN, **_MAIL, **_LOGIN)
    assert made["global"] == {
        "smtp_smarthost": "mail.example.org:587",
        "smtp_from": "scoring@example.org",
        "smtp_require_tls": True,
        "smtp_auth_username": "scoring",
        "smtp_auth_password_file": "/run/secrets/smtp_password",
    }
    [receiver] = made["receivers"]
    [hook], [mail] = receiver["webhook_configs"], receiver["email_configs"]
    assert hook == {
        "url": "http://bell.example:8080/ring",
        "send_resolved": True,
        "http_config": {"authorization": {"credentials_file": "/run/secrets/webhook_token"}},
    }
    assert mail["to"] == "ops@example.org, night@example.org"


def test_the_address_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("https://bell.example/ring?key=wL9x\n")
    made = _made(ALERTMANAGER_WEBHOOK_URL_FILE=str(path))
    [hook] = made["receivers"][0]["webhook_configs"]
    assert hook["url"] == "https://bell.example/ring?key=wL9x"


def test_the_environment_goes_before_the_file_and_an_empty_value_is_none(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("ALERTMANAGER_WEBHOOK_URL=http://file/\nALERTMANAGER_SMTP_TLS=false\n")
    assert load({}, dotenv).webhook_url == "http://file/"
    assert load({"ALERTMANAGER_WEBHOOK_URL": ""}, dotenv).webhook_url == "http://file/"
    read = load({"ALERTMANAGER_WEBHOOK_URL": "http://own/"}, dotenv)
    assert (read.webhook_url, read.smtp_tls) == ("http://own/", False)


def test_a_dotenv_that_is_no_text_stops_with_78_and_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"ALERTMANAGER_ALLOW_NO_RECEIVER=\xff")
    stopped = _command(tmp_path, _WEBHOOK)
    assert (stopped.returncode, stopped.stdout) == (78, "")
    assert states(stopped.stderr, ".env: ", "UTF-8")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "alertmanager.yml"
    stopped = _command(tmp_path, _WEBHOOK, "--output", str(path))
    assert (stopped.returncode, stopped.stdout) == (73, "")
    assert states(stopped.stderr, f"{path}: ", "No such file or directory")


_BAD: Final[list[tuple[dict[str, str], str, str]]] = [
    ({}, "WEBHOOK_URL", "there is no receiver of notifications: set it, or ALERTMANAGER_EMAIL_TO"),
    ({"WEBHOOK_URL": "bell.example/wL9x"}, "WEBHOOK_URL", "is not an http:// or https:// address"),
    ({"WEBHOOK_URL": "ftp://bell/wL9x"}, "WEBHOOK_URL", "is not an http:// or https:// address"),
    ({"WEBHOOK_URL": "http://bell:x/wL9x"}, "WEBHOOK_URL", "is not an http:// or https:// address"),
    ({"WEBHOOK_URL": "http://[bell/wL9x"}, "WEBHOOK_URL", "is not an http:// or https:// address"),
    ({"WEBHOOK_URL": "http://a b/wL9x"}, "WEBHOOK_URL", "is not an http:// or https:// address"),
    ({"WEBHOOK_URL": "http://"}, "WEBHOOK_URL", "is not an http:// or https:// address"),
    ({"WEBHOOK_URL_FILE": "/nowhere"}, "WEBHOOK_URL_FILE", "/nowhere can't be read"),
    (
        {"WEBHOOK_URL": "http://b/", "WEBHOOK_URL_FILE": "/dev/null"},
        *("WEBHOOK_URL_FILE", "ALERTMANAGER_WEBHOOK_URL is set too"),
    ),
    ({"WEBHOOK_URL_FILE": "/dev/null"}, "WEBHOOK_URL_FILE", "/dev/null is empty"),
    (
        {"WEBHOOK_URL": "http://b/", "WEBHOOK_TOKEN_FILE": "token"},
        *("WEBHOOK_TOKEN_FILE", "is not an absolute path"),
    ),
    ({"SMTP_HOST": "m:25"}, "EMAIL_TO", "is missing, though ALERTMANAGER_SMTP_HOST is set"),
    ({"EMAIL_TO": "ops"}, "EMAIL_TO", "is not a list of addresses such as ops@example.org"),
    ({"EMAIL_TO": "a@b,,c@d"}, "EMAIL_TO", "is not a list of addresses such as ops@example.org"),
    ({"EMAIL_TO": "a@b"}, "EMAIL_FROM", "is missing or no address; mail needs a sender"),
    (
        {"EMAIL_TO": "a@b", "EMAIL_FROM": "c@d"},
        *("SMTP_HOST", "is missing or not host:port; mail needs a server"),
    ),
    (
        {"EMAIL_TO": "a@b", "EMAIL_FROM": "c@d", "SMTP_HOST": "mail"},
        *("SMTP_HOST", "is missing or not host:port; mail needs a server"),
    ),
    (
        {"EMAIL_TO": "a@b", "EMAIL_FROM": "c@d", "SMTP_HOST": "m:25", "SMTP_USER": "u"},
        *("SMTP_PASSWORD_FILE", "is missing: user and password go together"),
    ),
    (
        {"EMAIL_TO": "a@b", "EMAIL_FROM": "c@d", "SMTP_HOST": "m:25", "SMTP_TLS": "perhaps"},
        *("SMTP_TLS", "is neither true nor false"),
    ),
]


@pytest.mark.parametrize(("settings", "variable", "reason"), _BAD)
def test_a_bad_setting_is_named_without_its_value(
    settings: dict[str, str], variable: str, reason: str
) -> None:
    prefixed = {f"ALERTMANAGER_{name}": value for name, value in settings.items()}
    receiver = _WEBHOOK if "SMTP_HOST" in settings and variable == "EMAIL_TO" else {}
    with pytest.raises(SettingsError) as raised:
        load(receiver | prefixed, Path("none.env"))
    assert str(raised.value) == f"ALERTMANAGER_{variable}: {reason}"
    assert "wL9x" not in str(raised.value)


def test_a_token_without_an_address_is_named() -> None:
    with pytest.raises(SettingsError, match=r"WEBHOOK_TOKEN_FILE: .*WEBHOOK_URL "):
        load(_MAIL | _TOKEN, Path("none.env"))


def test_an_address_from_a_file_that_is_none_names_the_file_variable(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("bell.example")
    with pytest.raises(SettingsError, match=r"WEBHOOK_URL_FILE: .*http://.*https://"):
        load({"ALERTMANAGER_WEBHOOK_URL_FILE": str(path)}, Path("none.env"))


def test_the_command_stops_with_78_writes_nothing_and_names_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    stopped = _command(tmp_path, {}, "--output", str(path))
    assert (stopped.returncode, stopped.stdout) == (78, "")
    assert states(stopped.stderr, "ALERTMANAGER_WEBHOOK_URL: ", "no receiver")
    assert list(tmp_path.iterdir()) == []


def test_no_receiver_is_allowed_only_by_its_setting() -> None:
    receivers = _made(ALERTMANAGER_ALLOW_NO_RECEIVER="true")["receivers"]
    assert receivers == [{"name": "operators"}]
    assert _made(ALERTMANAGER_ALLOW_NO_RECEIVER="true", **_WEBHOOK) == _made(**_WEBHOOK)


def test_a_former_name_is_accepted_and_the_new_one_named(tmp_path: Path) -> None:
    made = _command(tmp_path, {"ALERTMANAGER_NOBODY": "true"})
    assert (made.returncode, yaml.safe_load(made.stdout)["receivers"][0]["name"]) == (
        0,
        "operators",
    )
    assert states(made.stderr, "ALERTMANAGER_NOBODY: ", "ALERTMANAGER_ALLOW_NO_RECEIVER")
    both = {"ALERTMANAGER_NOBODY": "true", "ALERTMANAGER_ALLOW_NO_RECEIVER": "false"}
    assert _command(tmp_path, both).returncode == 78


@pytest.mark.parametrize("name", ["ALLOW_NO_RECEIVER", "SMTP_TLS"])
def test_a_truth_value_that_is_none_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"^ALERTMANAGER_{name}: "):
        _made(**_WEBHOOK, **{f"ALERTMANAGER_{name}": "perhaps"})


def test_a_misspelt_variable_is_named(tmp_path: Path) -> None:
    made = _command(tmp_path, _WEBHOOK | {"ALERTMANAGER_EMIAL_TO": "a@b"})
    assert made.returncode == 0
    assert states(made.stderr, "ALERTMANAGER_EMIAL_TO: ", "ignored")
    assert unknown_variables(_WEBHOOK, Path("none.env")) == []


def test_help_lists_every_setting(tmp_path: Path) -> None:
    shown = _command(tmp_path, {}, "--help").stdout
    assert [field for field in FIELDS if named(field) not in shown] == []


def test_pages_go_out_before_tickets_and_both_to_the_operators(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(_made(**_WEBHOOK)))
    for severity in ("page", "ticket"):
        label = f"severity={severity}"
        routed = run("amtool", "config", "routes", "test", f"--config.file={path}", label)
        assert routed.stdout.split() == ["operators"]
    page, ticket = _made(**_WEBHOOK)["route"]["routes"]
    assert (page["group_wait"], page["repeat_interval"]) == ("10s", "1h")
    assert (ticket["group_wait"], ticket["repeat_interval"]) == ("5m", "24h")


def test_inhibitions_name_alerts_and_labels_that_there_are() -> None:
    text = "\n".join(rules.render(slo.load()).values())
    for rule in nonempty(_made(**_WEBHOOK)["inhibit_rules"]):
        for matcher in nonempty((*rule["source_matchers"], *rule["target_matchers"])):
            label, _, value = matcher.replace("=~", "=").partition("=")
            for name in value.strip('"').split("|"):
                written = "alert" if label == "alertname" else label
                # A label is written in a rule, or comes out of its expression.
                assert f"{written}: {name}\n" in text or f" by ({label}) " in text, matcher


def test_the_command_reads_the_dotenv_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ALERTMANAGER_WEBHOOK_URL=http://file.example/\n")
    made = _command(tmp_path, {})
    assert made.returncode == 0
    assert "http://file.example/" in made.stdout
    assert not (ROOT / "alertmanager.yml").exists()


def test_the_example_file_has_every_setting_with_default_and_description() -> None:
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    expected = [
        (schema[field]["description"], named(field), str(schema[field]["default"]).lower())
        for field in FIELDS
    ]
    assert example("ALERTMANAGER_") == expected
