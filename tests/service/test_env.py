"""`python -m service.env` makes what the server starts with, and never loses a key."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from dotenv import dotenv_values

from service.auth import entries_of_file
from service.settings import load
from tests.support.paths import ROOT

_CREDENTIALS = "aws_credentials"
_SECRETS = {
    *("api_keys", "loadgen_api_key", "metrics_token", "grafana_admin_password", _CREDENTIALS),
}


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        # Without any package: who only runs the containers has none.
        [sys.executable, "-S", "-m", "service.env", str(folder), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_made_for_its_owner_only(tmp_path: Path) -> None:
    assert make(tmp_path).returncode == 0
    assert {path.name for path in (tmp_path / "secrets").iterdir() if path.is_file()} == _SECRETS
    assert mode(tmp_path / ".env") == 0o600
    assert mode(tmp_path / "secrets") == 0o700
    assert {mode(tmp_path / "secrets" / name) for name in _SECRETS} == {0o444}


def test_it_says_nothing_secret(tmp_path: Path) -> None:
    made = make(tmp_path)
    for path in (tmp_path / "secrets").glob("*_*"):
        assert path.read_text().strip().rpartition(":")[2] not in made.stdout + made.stderr


def test_the_settings_load_with_the_keys_and_the_token_of_the_files(tmp_path: Path) -> None:
    make(tmp_path)
    before = Path.cwd()
    os.chdir(tmp_path)  # paths in .env are relative to it
    try:
        settings = load({}, tmp_path / ".env")
    finally:
        os.chdir(before)
    assert settings.api_keys == ""
    assert settings.api_keys_file == "secrets/api_keys"
    assert settings.metrics_token == (tmp_path / "secrets/metrics_token").read_text().strip()


def test_the_generators_key_is_one_of_the_services(tmp_path: Path) -> None:
    make(tmp_path)
    keys = (tmp_path / "secrets/api_keys").read_text()
    assert [name for name, _ in entries_of_file(keys)] == ["client", "loadgen"]
    assert f"loadgen:{(tmp_path / 'secrets/loadgen_api_key').read_text()}" in keys


def test_only_what_must_be_chosen_differs_from_the_example(tmp_path: Path) -> None:
    make(tmp_path)
    example, made = dotenv_values(ROOT / ".env.example"), dotenv_values(tmp_path / ".env")
    assert example.keys() == made.keys()
    assert {name for name in made if made[name] != example[name]} == {
        "SCORING_API_KEYS", "SCORING_API_KEYS_FILE", "SCORING_METRICS_TOKEN_FILE",
        "LOADGEN_API_KEY_FILE", "ALERTMANAGER_NOBODY",
    }  # fmt: skip


def test_what_is_there_stays_until_it_is_told_otherwise(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / ".env").unlink()
    first = contents(tmp_path)
    again = make(tmp_path)
    assert again.returncode == 73
    assert "secrets/api_keys" in again.stderr
    assert contents(tmp_path) == first
    assert make(tmp_path, "--force").returncode == 0
    second = contents(tmp_path)
    assert {path.name for path in first if first[path] == second[path]} == {_CREDENTIALS}


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = make(tmp_path / "file")
    assert refused.returncode == 73
    assert "Traceback" not in refused.stderr
