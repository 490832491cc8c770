"""The doctor's checks of keys, tokens and the files that hold them."""

import os
from pathlib import Path

import pytest

from service.config.settings import Settings
from service.doctor import files
from service.doctor import settings as configuration
from tests.support.doctor import GOOD_KEY, machine, only

_OTHER_KEY = GOOD_KEY[::-1]


@pytest.mark.parametrize(
    "weak",
    [
        *("123322", "short", "fifteen-chars-x", "aaaaaaaaaaaaaaaaaaaaaaaa", "abcdefghijklmnopqrst"),
        *("0123456789abcdef", "abcdabcdabcdabcdabcd", "1111222233334444", "zyxwvutsrqponmlkjihg"),
    ],
)
def test_a_key_that_is_easily_guessed(weak: str) -> None:
    assert configuration.is_weak(weak)
    settings = Settings(api_keys=f"partner:{weak}")
    finding = only(configuration.key_strength(settings))
    assert (finding.level, "partner" in finding.description, weak in finding.description) == (
        "warn",
        True,
        False,
    )


@pytest.mark.parametrize(
    "strong", [GOOD_KEY, "9f86d081884c7d659a2feaa0c55ad015", "kX7-pQ2_vM9z.R4t"]
)
def test_a_key_that_is_not(strong: str) -> None:
    assert not configuration.is_weak(strong)
    assert only(configuration.key_strength(Settings(api_keys=f"partner:{strong}"))).level == "ok"


def test_a_weak_key_on_an_open_address_fails() -> None:
    settings = Settings(host="0.0.0.0", api_keys="partner:short")
    assert only(configuration.key_strength(settings)).level == "fail"


def test_keys_of_the_file_are_looked_at_too(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"a:{GOOD_KEY} # the first\nb:short\n")
    finding = only(configuration.key_strength(Settings(api_keys_file=str(path))))
    assert (finding.level, finding.description[-1]) == ("warn", "b")
    assert only(configuration.keys(Settings(api_keys_file=str(path)))).level == "ok"


@pytest.mark.parametrize(
    ("given", "level", "description"),
    [
        (f"a:{GOOD_KEY},b:{_OTHER_KEY}", "ok", ""),
        (f"a:{GOOD_KEY},b:{GOOD_KEY}", "warn", "under: a, b"),
        (f"a:{GOOD_KEY},a:{_OTHER_KEY}", "warn", "more than one key: a"),
        (f"a:{GOOD_KEY},a:{GOOD_KEY}", "warn", "under: a"),
    ],
)
def test_each_caller_has_one_key(given: str, level: str, description: str) -> None:
    finding = only(configuration.key_names(Settings(api_keys=given)))
    assert finding.level == level
    assert finding.description.endswith(description)


def test_a_key_in_the_settings_and_in_the_file_would_outlive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"a:{GOOD_KEY}\n")
    settings = Settings(api_keys=f"a:{GOOD_KEY}", api_keys_file=str(path))
    assert only(configuration.key_names(settings)).level == "warn"


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        (Settings(), "warn"),
        (Settings(metrics_token=GOOD_KEY), "ok"),
        (Settings(metrics_bind="127.0.0.1:9100"), "ok"),
        (Settings(metrics_bind="0.0.0.0:9100"), "warn"),
        (Settings(metrics_bind="0.0.0.0:9100", metrics_token=GOOD_KEY), "ok"),
        (Settings(metrics_bind="0.0.0.0:9100", metrics_token="short"), "fail"),
        (Settings(host="0.0.0.0", metrics_token="short"), "fail"),
        (Settings(metrics_token="short"), "warn"),
        (Settings(metrics_token=GOOD_KEY, api_keys=f"a:{GOOD_KEY}"), "warn"),
    ],
)
def test_metrics_access_has_its_level(settings: Settings, level: str) -> None:
    assert only(configuration.metrics(settings)).level == level


@pytest.mark.parametrize(
    ("mode", "level", "in_container"),
    [
        (0o600, "ok", "ok"),
        (0o640, "ok", "ok"),
        (0o644, "fail", "warn"),
        (0o602, "fail", "fail"),
        (0o666, "fail", "fail"),
    ],
)
def test_the_rights_of_secrets(
    mode: int, level: str, in_container: str, open_folder: Path, tmp_path: Path
) -> None:
    dotenv = open_folder / ".env"
    dotenv.touch()
    dotenv.chmod(mode)
    outside, inside = (
        machine(tmp_path / "a", {"x": ""}),
        machine(tmp_path / "b", {".dockerenv": ""}),
    )
    finding = {f.name: f for f in files.rights(outside, Settings(), dotenv)}
    assert finding[".env"].level == level
    assert only(f for f in files.rights(inside, Settings(), dotenv) if f.name == ".env").level == (
        in_container
    )
    given = {"ok": "ok", "warn": "ok", "fail": "fail"}[in_container]
    assert files.secret("x", dotenv, inside, uid=os.geteuid() + 1).level == given
    open_folder.chmod(0o700)
    assert files.secret("x", dotenv, outside).level == "ok", "no other user reaches the file"


def test_every_file_of_a_secret_is_looked_at(open_folder: Path, tmp_path: Path) -> None:
    keys, token = open_folder / "keys", open_folder / "token"
    for path in (keys, token):
        path.touch(0o644)
    settings = Settings(api_keys_file=str(keys), metrics_token_file=str(token))
    finding = {
        f.name: f.level for f in files.rights(machine(tmp_path, {}), settings, tmp_path / "x")
    }
    assert finding["keys file"] == finding["token file"] == "fail"


def test_a_model_file_that_all_may_change(open_folder: Path) -> None:
    path = open_folder / "model.cbm"
    path.touch(0o644)
    assert only(files.model_file(path)).level == "ok"
    path.chmod(0o666)
    assert only(files.model_file(path)).level == "fail"


def test_the_token_of_prometheus_is_compared_with_the_service(tmp_path: Path) -> None:
    path = tmp_path / "metrics_token"
    assert list(files.token_agrees(Settings(metrics_token="t"), path)) == []
    path.write_text("t\n")
    assert list(files.token_agrees(Settings(), path)) == []
    assert only(files.token_agrees(Settings(metrics_token="t"), path)).level == "ok"
    assert only(files.token_agrees(Settings(metrics_token="u"), path)).level == "fail"


def test_a_dotenv_that_is_not_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(tmp_path)
    assert only(files.dotenv_place(Path(".env"), project)).level == "ok"
    (project / ".env").touch()
    assert only(files.dotenv_place(Path(".env"), project)).level == "warn"
    monkeypatch.chdir(project)
    assert only(files.dotenv_place(Path(".env"), project)).level == "ok"
