"""`python -m deploy.init_env` makes what the server starts with, and never loses a key."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from base64 import b64decode
from hashlib import sha256
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from dotenv import dotenv_values

from service.config import files as atomic
from service.config.settings import load
from service.http.key_sources import entries_of_file
from tests.support.messages import mentions, states
from tests.support.paths import ROOT
from tests.support.vacuous import nonempty

_CREDENTIALS = "aws_credentials"
# What is there for Compose only.
_EMPTY = {_CREDENTIALS, "webhooks"}
_BROKER = {"broker_users", "broker_web", "broker_worker", "broker_amqp"}
_RECORDS = {"records_users", "records"}
_CLICKHOUSE = {"clickhouse_users", "clickhouse"}
_MONGODB = {"mongodb_users", "mongodb_root", "mongodb"}
_SECRETS = {
    *("api_keys", "loadgen_api_key", "metrics_token", "grafana_admin_password"),
    *(_BROKER | _RECORDS | _CLICKHOUSE | _MONGODB | _EMPTY),
}
# Each is named by the first of its files.
_NAMED = {"broker_users", "records_users", "clickhouse_users", "mongodb_users"}
_NAMES = _SECRETS - _EMPTY - ((_BROKER | _RECORDS | _CLICKHOUSE | _MONGODB) - _NAMED)


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        # Without any package: who only runs the containers has none.
        [sys.executable, "-S", "-m", "deploy.init_env", str(folder), *arguments],
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
    assert {mode(tmp_path / "secrets" / name) for name in _SECRETS} == {0o644}


def test_it_says_nothing_secret(tmp_path: Path) -> None:
    made = make(tmp_path)
    for path in nonempty(list((tmp_path / "secrets").glob("*"))):
        if path.is_file():
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
    assert [name for name, _ in entries_of_file(keys)] == ["client", "admin", "loadgen"]
    assert f"loadgen:{(tmp_path / 'secrets/loadgen_api_key').read_text()}" in keys


def test_only_what_must_be_chosen_differs_from_the_example(tmp_path: Path) -> None:
    make(tmp_path)
    example, made = dotenv_values(ROOT / ".env.example"), dotenv_values(tmp_path / ".env")
    assert example.keys() == made.keys()
    assert {name for name in made if made[name] != example[name]} == {
        "SCORING_ADMINS", "SCORING_API_KEYS", "SCORING_API_KEYS_FILE", "SCORING_METRICS_TOKEN_FILE",
        "LOADGEN_API_KEY_FILE", "ALERTMANAGER_ALLOW_NO_RECEIVER",
    }  # fmt: skip


def test_the_admin_has_a_key(tmp_path: Path) -> None:
    make(tmp_path)
    assert dotenv_values(tmp_path / ".env")["SCORING_ADMINS"] == "admin"
    keys = (tmp_path / "secrets/api_keys").read_text()
    assert len(dict(entries_of_file(keys))["admin"]) == 43


def test_what_is_there_stays_and_what_is_missing_is_made(tmp_path: Path) -> None:
    make(tmp_path)
    first = contents(tmp_path)
    again = make(tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    settings, secrets = again.stdout.splitlines()
    assert states(settings, "Kept: ", f"{tmp_path}/.env", "all settings")
    assert states(secrets, "Kept: ", ", ".join(sorted(_NAMES)), "--only NAME")
    assert contents(tmp_path) == first
    missing = [tmp_path / ".env", tmp_path / "secrets/metrics_token"]
    for path in missing:
        path.unlink()
    completed = make(tmp_path)
    assert completed.returncode == 0
    assert f"Made: {tmp_path}/.env" in completed.stdout.splitlines()
    assert f"Made: {tmp_path}/secrets/metrics_token" in completed.stdout.splitlines()
    second = contents(tmp_path)
    assert second.keys() == first.keys()
    assert {path for path in first if first[path] != second[path]} == {missing[1]}


def backups(folder: Path) -> dict[str, str]:
    """What was kept of former files, by their names."""
    return {path.name.split(".2")[0]: path.read_text() for path in folder.rglob("*.bak")}


def test_force_makes_all_anew_and_keeps_what_was_there(tmp_path: Path) -> None:
    make(tmp_path)
    dotenv = tmp_path / ".env"
    dotenv.write_text(dotenv.read_text().replace("STACK_CPUS=2", "STACK_CPUS=8"))
    (tmp_path / "secrets" / _CREDENTIALS).write_text("[default]\naws_access_key_id = mine\n")
    first = contents(tmp_path)
    forced = make(tmp_path, "--force")
    assert (forced.returncode, forced.stderr) == (0, "")
    replaced = {path.name: text for path, text in first.items() if path.name not in _EMPTY}
    assert backups(tmp_path) == replaced
    assert {mode(path) for path in tmp_path.rglob("*.bak")} == {0o400}
    second = contents(tmp_path)
    assert {path.name for path in first if first[path] == second[path]} == _EMPTY
    for path in tmp_path.rglob("*.bak"):
        assert str(path) in forced.stdout


def test_a_backup_of_dotenv_is_not_for_git() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", ".env.20261129T120000.000000Z.bak"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ignored.returncode == 0


_ALL_KEYS = {"api_keys", "loadgen_api_key"}


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        *(("metrics_token", {"metrics_token"}), ("api_keys", _ALL_KEYS)),
        *(("loadgen_api_key", _ALL_KEYS), ("grafana_admin_password", {"grafana_admin_password"})),
        *(("broker_users", _BROKER), ("records_users", _RECORDS)),
        *(("clickhouse_users", _CLICKHOUSE), ("mongodb_users", _MONGODB)),
    ],
)
def test_one_secret_is_made_anew(name: str, changed: set[str], tmp_path: Path) -> None:
    make(tmp_path)
    first = contents(tmp_path)
    renewed = make(tmp_path, "--only", name)
    assert (renewed.returncode, renewed.stderr) == (0, "")
    assert "docker compose " in renewed.stdout.splitlines()[-1]
    second = contents(tmp_path)
    assert {path.name for path in first if first[path] != second[path]} == changed
    assert backups(tmp_path) == {path.name: first[path] for path in first if path.name in changed}
    keys = (tmp_path / "secrets/api_keys").read_text()
    generators = (tmp_path / "secrets/loadgen_api_key").read_text().strip()
    assert dict(entries_of_file(keys))["loadgen"] == generators


def test_each_user_of_the_broker_has_a_url_and_may_do_what_the_page_says(tmp_path: Path) -> None:
    make(tmp_path)
    made = json.loads((tmp_path / "secrets/broker_users").read_text())
    for user in nonempty(made["users"]):
        url = urlsplit((tmp_path / f"secrets/broker_{user['name']}").read_text().strip())
        assert (url.username, url.hostname, url.path) == (user["name"], "rabbitmq", "/scoring")
        stored = b64decode(user["password_hash"])
        assert stored == stored[:4] + sha256(stored[:4] + str(url.password).encode()).digest()
    given = {one.pop("user"): one for one in made["permissions"]}
    page = (ROOT / "docs/operating.md").read_text()
    command = r"^rabbitmqctl set_permissions -p scoring (\w+) +('.*)$"
    said = dict(re.findall(command, page, re.MULTILINE))
    assert given == {
        user: dict(zip(("configure", "write", "read"), shlex.split(said[user]), strict=True))
        | {"vhost": "scoring"}
        for user in ("web", "worker", "amqp")
    }


def test_the_user_of_redis_has_the_password_of_its_url(tmp_path: Path) -> None:
    make(tmp_path)
    url = urlsplit((tmp_path / "secrets/records").read_text().strip())
    default, user = (tmp_path / "secrets/records_users").read_text().splitlines()
    assert default.startswith("user default off ")
    digest = sha256(str(url.password).encode()).hexdigest()
    assert user.startswith(f"user {url.username} on #{digest} ")


def test_the_users_of_stores_have_the_passwords_of_their_urls(tmp_path: Path) -> None:
    make(tmp_path)
    folder = tmp_path / "secrets"
    url = urlsplit((folder / "clickhouse").read_text().strip())
    users = (folder / "clickhouse_users").read_text()
    digest = sha256(str(url.password).encode()).hexdigest()
    assert f"<password_sha256_hex>{digest}</password_sha256_hex>" in users
    assert '<default remove="remove"/>' in users
    assert str(url.password) not in users
    url = urlsplit((folder / "mongodb").read_text().strip())
    script = (folder / "mongodb_users").read_text()
    made = json.loads(script.partition("createUser(")[2].rpartition(")")[0])
    assert made == {"user": url.username, "pwd": url.password, "roles": ["readWrite"]}
    assert (folder / "mongodb_root").read_text() not in script
    for name in ("clickhouse", "mongodb"):
        setting = {f"SCORING_{name.upper()}_FILE": str(folder / name)}
        assert getattr(load(setting, tmp_path / "none"), name).endswith("/scoring")


def test_a_lost_file_of_a_secret_renews_all_of_its_files(tmp_path: Path) -> None:
    """The password itself is in the lost one only."""
    make(tmp_path)
    first = contents(tmp_path)
    (tmp_path / "secrets/broker_web").unlink()
    make(tmp_path)
    second = contents(tmp_path)
    assert {path.name for path in first if first[path] != second[path]} == _BROKER


def test_the_generators_new_key_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    make(tmp_path)
    keys = tmp_path / "secrets/api_keys"
    keys.write_text(
        "# ours\npartner:its-key  # since May\nloadgen:old-key # to be replaced\nlast:key"
    )
    make(tmp_path, "--only", "loadgen_api_key")
    new = (tmp_path / "secrets/loadgen_api_key").read_text()
    assert keys.read_text() == (f"# ours\npartner:its-key  # since May\nlast:key\nloadgen:{new}")


def test_the_generators_file_is_made_of_the_key_that_it_has(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "secrets/api_keys").write_text("a:b\nloadgen:the-key  # a comment\n")
    (tmp_path / "secrets/loadgen_api_key").unlink()
    make(tmp_path)
    assert (tmp_path / "secrets/loadgen_api_key").read_text() == "the-key\n"
    assert (tmp_path / "secrets/api_keys").read_text() == "a:b\nloadgen:the-key  # a comment\n"
    (tmp_path / "secrets/api_keys").write_text("a:b\n")
    (tmp_path / "secrets/loadgen_api_key").unlink()
    make(tmp_path)
    new = (tmp_path / "secrets/loadgen_api_key").read_text()
    assert (tmp_path / "secrets/api_keys").read_text() == f"a:b\nloadgen:{new}"


def test_only_a_secret_that_there_is_can_be_made_anew(tmp_path: Path) -> None:
    refused = make(tmp_path, "--only", "server.key")
    assert refused.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_dotenv_of_an_older_version_gets_what_it_lacks_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path)
    old = (
        "# mine\r\nSCORING_API_KEYS=partner:its-key\r\n"
        "export SCORING_WORKERS = 3\n#SCORING_REGISTRY=s3://unwanted\n  STACK_CPUS=8 # many"
    )
    (tmp_path / ".env").write_text(old, "utf-8-sig", newline="")
    before = load({}, tmp_path / ".env")
    merged = make(tmp_path)
    assert (merged.returncode, merged.stderr) == (0, "")
    text = (tmp_path / ".env").read_bytes().decode("utf-8-sig")
    assert text.startswith(f"{old}\n\n# ")
    example = dotenv_values(ROOT / ".env.example")
    added = dotenv_values(stream=StringIO(text.removeprefix(old)))
    named = {"SCORING_API_KEYS", "SCORING_WORKERS", "SCORING_REGISTRY", "STACK_CPUS"}
    assert added.keys() == example.keys() - named
    # What it does not name is as it was before: nothing is chosen for it.
    assert load({}, tmp_path / ".env") == before
    assert {added[name] for name in ("SCORING_API_KEYS_FILE", "SCORING_ADMINS")} == {""}
    (line,) = [line for line in merged.stdout.splitlines() if line.startswith("Added to ")]
    assert states(line, f"Added to {tmp_path}/.env", "defaults: SCORING_HOST, ")
    assert mode(tmp_path / ".env") == 0o600
    assert mentions(make(tmp_path).stdout, f"{tmp_path}/.env", "all settings")


@pytest.mark.parametrize("name", [".env", "secrets/api_keys", "secrets/edge", "secrets"])
def test_a_link_is_not_followed(name: str, tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    make(inside)
    (inside / name).rename(outside)
    (inside / name).symlink_to(outside)
    before = contents(tmp_path)
    for arguments in ((), ("--force",), ("--only", "api_keys")):
        refused = make(inside, *arguments)
        assert refused.returncode == 73
        assert states(refused.stderr, f"{inside}/{name} ", "is a link", "nothing was written")
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    "name",
    [
        *(".env", "secrets", "secrets/api_keys", "secrets/aws_credentials"),
        *("secrets/alertmanager", "secrets/edge", "secrets/edge/server.key"),
    ],
)
def test_what_is_another_users_is_not_used(name: str, tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "secrets/edge/server.key").write_text("a key")
    os.chown(tmp_path / name, 65534, 65534)
    before = contents(tmp_path)
    for arguments in ((), ("--force",)):
        refused = make(tmp_path, *arguments)
        assert refused.returncode == 73
        assert states(
            refused.stderr, f"{tmp_path}/{name} ", "another user's", "nothing was written"
        )
    assert contents(tmp_path) == before


def test_a_folder_that_all_may_write_to_is_no_place_for_secrets(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    refused = make(tmp_path / "open")
    assert refused.returncode == 73
    assert states(refused.stderr, f"{tmp_path}/open ", "open to all", "writing")
    assert list((tmp_path / "open").iterdir()) == []


def test_what_is_found_open_is_closed(tmp_path: Path) -> None:
    """The engine of containers makes the folder for all when it comes first."""
    (tmp_path / "secrets" / "edge").mkdir(parents=True)
    for folder in (tmp_path / "secrets", tmp_path / "secrets" / "edge"):
        folder.chmod(0o777)
    assert make(tmp_path).returncode == 0
    assert mode(tmp_path / "secrets") == 0o700
    assert mode(tmp_path / "secrets" / "edge") == 0o755
    for path, rights in (
        (".env", 0o666),
        ("secrets/api_keys", 0o666),
        ("secrets/metrics_token", 0o440),
    ):
        (tmp_path / path).chmod(rights)
    assert make(tmp_path).returncode == 0
    modes = [
        mode(tmp_path / name) for name in (".env", "secrets/api_keys", "secrets/metrics_token")
    ]
    assert modes == [0o600, 0o644, 0o440]


def test_all_in_the_folder_of_secrets_is_closed_and_so_are_backups(tmp_path: Path) -> None:
    make(tmp_path)
    make(tmp_path, "--force")
    inside = tmp_path / "secrets"
    (inside / "edge/deeper").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o666)
    (inside / "alertmanager/link").symlink_to(outside)
    files = [inside / "own_token", inside / "edge/deeper/keys", inside / "alertmanager/password"]
    for file in files:
        file.write_text("s")
    backups = [*inside.glob("*.bak"), *tmp_path.glob(".env*.bak")]
    assert len(backups) == len(_SECRETS - _EMPTY) + 1
    folders = [inside, inside / "edge", inside / "edge/deeper", inside / "alertmanager"]
    for path in (*files, *backups, *folders):
        path.chmod(0o777)
    assert make(tmp_path).returncode == 0
    assert [oct(mode(path)) for path in folders] == ["0o700", "0o755", "0o755", "0o755"]
    assert {mode(file) & 0o133 for file in (*files, *backups)} == {0}
    assert {mode(file) for file in tmp_path.glob(".env*.bak")} == {0o600}
    assert mode(outside) == 0o666


def test_what_others_could_read_is_named_once(tmp_path: Path) -> None:
    make(tmp_path)
    assert "Open to others" not in make(tmp_path).stdout
    (tmp_path / ".env").chmod(0o644)
    (tmp_path / "secrets").chmod(0o755)
    (tmp_path / "secrets/api_keys").chmod(0o600)
    os.link(tmp_path / "secrets/api_keys", tmp_path / "second")
    assert make(tmp_path).returncode == 73  # nothing is closed, so that nothing is forgotten
    (tmp_path / "second").unlink()
    (first, *_) = make(tmp_path).stdout.splitlines()
    begin, _, names = first.partition(": ")
    assert states(begin, "Open to others ", "renew")
    shown = (".env", *(f"secrets/{name}" for name in _SECRETS - {"api_keys"}))
    assert set(names.split(", ")) == {str(tmp_path / name) for name in shown}
    assert "Open to others" not in make(tmp_path).stdout


@pytest.mark.parametrize(
    "name", [".env", "secrets/api_keys", "secrets/edge/server.key", "secrets/x"]
)
def test_a_file_with_a_second_name_is_not_used(name: str, tmp_path: Path) -> None:
    """The other name could still be read, whatever the rights of the folder."""
    make(tmp_path)
    (tmp_path / name).write_text("A=old\n")
    os.link(tmp_path / name, tmp_path / "second")
    before = contents(tmp_path)
    made = make(tmp_path, "--force")
    assert (made.returncode, made.stdout) == (73, "")
    assert states(made.stderr, f"{tmp_path / name} ", "second name", "nothing was written", "Copy")
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    os.chown(tmp_path / "others", 12345, -1)
    made = make(tmp_path / "others")
    assert made.returncode == 73
    assert states(made.stderr, f"{tmp_path / 'others'} ", "another user's", "chown")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("empty", ["", "\n", " \t\r\n", "\ufeff\n"])
@pytest.mark.parametrize("name", sorted(_SECRETS - _EMPTY))
def test_an_empty_secret_is_made_anew(name: str, empty: str, tmp_path: Path) -> None:
    make(tmp_path)
    kept = (tmp_path / "secrets/api_keys").read_text()
    (tmp_path / "secrets" / name).write_text(empty)
    assert f"Made anew: {tmp_path / 'secrets' / name}; " in make(tmp_path).stdout
    assert (tmp_path / "secrets" / name).read_text().strip("\ufeff \t\r\n")
    keys = dict(entries_of_file((tmp_path / "secrets/api_keys").read_text()))
    assert keys["loadgen"] == (tmp_path / "secrets/loadgen_api_key").read_text().strip()
    assert name == "api_keys" or (tmp_path / "secrets/api_keys").read_text() == kept


def test_a_file_of_keys_that_holds_comments_only_is_made_anew(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "secrets/api_keys").write_text("# name:key\n  # none yet\n")
    make(tmp_path)
    names = dict(entries_of_file((tmp_path / "secrets/api_keys").read_text()))
    assert set(names) == {"client", "admin", "loadgen"}


def test_a_file_is_written_whole_and_with_its_mode(tmp_path: Path) -> None:
    """A write that fails leaves the former file, and no other one."""
    make(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(UnicodeEncodeError):
        atomic.write(tmp_path / ".env", "\ud800", 0o600)
    assert contents(tmp_path) == before
    atomic.write(tmp_path / ".env", "new", 0o640)
    assert ((tmp_path / ".env").read_text(), mode(tmp_path / ".env")) == ("new", 0o640)


def made_by_make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", "--no-print-directory", "env", f"INTO={folder}", f"PYTHON={sys.executable}",
         f"ARGS={' '.join(arguments)}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_make_env_makes_certificates_to_try_with_and_replaces_no_others(tmp_path: Path) -> None:
    first = made_by_make(tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    edge = tmp_path / "secrets" / "edge"
    certificates = {path.name: path.read_text() for path in edge.iterdir()}
    assert certificates.keys() == {"ca.crt", "server.crt", "server.key"}
    again = made_by_make(tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert "Made" not in again.stdout
    # One of the test authority is renewed with it.
    (tmp_path / "build/certs/server.key").unlink()
    assert mentions(made_by_make(tmp_path).stdout, f"Made: {edge}/server.crt")
    renewed = {path.name: path.read_text() for path in edge.iterdir()}
    assert {name for name in renewed if renewed[name] != certificates[name]} == {
        "server.crt", "server.key",
    }  # fmt: skip


_OF_OTHERS = {
    "ca.crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "server.crt": "not even a certificate\n",
}


@pytest.mark.parametrize("name", _OF_OTHERS)
def test_certificates_of_others_are_never_replaced(name: str, tmp_path: Path) -> None:
    made_by_make(tmp_path)
    edge = tmp_path / "secrets" / "edge"
    (edge / name).write_text(_OF_OTHERS[name])
    (edge / "server.key").write_text("the operator's")
    before = {path.name: path.read_text() for path in edge.iterdir()}
    for arguments in ((), ("--force",)):
        again = made_by_make(tmp_path, *arguments)
        assert again.returncode == 0
        message = f"Kept: the certificates in {edge}, which are not those to try with"
        assert message in again.stdout.splitlines()
        assert {path.name: path.read_text() for path in edge.iterdir()} == before


def test_a_key_that_waits_for_its_certificate_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets" / "edge").mkdir(parents=True)
    (tmp_path / "secrets" / "edge" / "server.key").write_text("the operator's")
    assert made_by_make(tmp_path).returncode == 0
    assert [path.name for path in (tmp_path / "secrets" / "edge").iterdir()] == ["server.key"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = make(tmp_path / "file")
    assert refused.returncode == 73
    assert "Traceback" not in refused.stderr


def test_a_dotenv_that_is_no_text_is_reported(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    refused = make(tmp_path)
    assert (refused.returncode, refused.stdout) == (73, "")
    assert states(refused.stderr, f"{tmp_path}: ", "secrets", "UTF-8")
