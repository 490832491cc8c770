"""The doctor as a command: its report, its exit code, and no effect on a running server."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from model.regno import BUNDLED
from service.doctor.checks import run_check
from service.doctor.finding import LEVELS
from service.doctor.machine import CONNECTIONS
from service.process.ulimits import OWN_FILES
from tests.support.commands import environment
from tests.support.doctor import GOOD_KEY, POWERLESS, Report, checked, ran
from tests.support.messages import mentions, states
from tests.support.server import serving

_JSON = "--json"
_SECRET = "wL9x-secret"


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report on the defaults, with a port of its own."""
    return ran(tmp_path_factory.mktemp("usual"), _JSON, port=str(free_port()))


def test_the_defaults_do_not_fail(usual: Report) -> None:
    assert usual.code == 0
    assert usual.errors == ""
    assert usual.content["counts"]["fail"] == 0
    assert sum(usual.content["counts"].values()) == len(usual.content["findings"]) > 25
    assert tuple(usual.content["counts"]) == LEVELS


def test_whatever_is_not_fine_has_a_remedy(usual: Report) -> None:
    wrong = [f for f in usual.content["findings"] if f["level"] in ("warn", "fail")]
    assert wrong
    assert all(finding["remedy"] for finding in wrong)


@pytest.mark.parametrize("name", ["keys", "metrics", "model"])
def test_the_defaults_are_warned_of(name: str, usual: Report) -> None:
    assert usual.level(name) == "warn"


@pytest.mark.parametrize(
    "name",
    [
        *("packages", "address", "names", "environment", "quotes", "arrays", "Sentry"),
        *("traces", "keep-alive", "key strength", "key names", "temporary folder", "model file"),
    ],
)
def test_the_defaults_pass(name: str, usual: Report) -> None:
    assert usual.level(name) == "ok"


def test_the_report_for_people_has_a_line_each_and_its_remedy_below(tmp_path: Path) -> None:
    report = checked(tmp_path, port=str(free_port()), keepalive="5")
    assert report.code == 0
    lines = report.text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("! keep-alive  "))
    assert mentions(lines[at], "5 s here", "60 s by the proxy")
    assert lines[at + 1].strip().startswith("SCORING_KEEPALIVE=75")
    assert {line[0] for line in lines[:-2]} <= set("✓!✗? ")
    starts = {line.index(line[2:].split("  ")[-1].strip()) for line in lines[:-2] if line[0] == "✓"}
    assert len(starts) == 1, "descriptions stand in one column"
    assert lines[-1].split(" findings: ")[0] == str(sum(line[0] != " " for line in lines[:-2]))
    assert "\x1b" not in report.text


def _on_a_terminal(folder: Path, **others: str) -> str:
    mine, theirs = pty.openpty()
    environ = environment(folder, {"SCORING_LOG_LEVEL": "loud", **others})
    command = [sys.executable, "-m", "service.doctor"]
    subprocess.run(command, cwd=folder, env=environ, stdout=theirs, timeout=60, check=False)
    os.close(theirs)
    text = os.read(mine, 65536).decode()
    os.close(mine)
    return text


def test_there_is_colour_on_a_terminal_alone_and_only_if_it_is_wanted(tmp_path: Path) -> None:
    assert "\x1b[31m✗\x1b[0m settings" in _on_a_terminal(tmp_path)
    assert "✗ settings" in _on_a_terminal(tmp_path, NO_COLOR="1")


@pytest.mark.parametrize("arguments", [(), (_JSON,)])
def test_settings_that_cannot_be_read_are_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    report = checked(tmp_path, *arguments, port="http")
    assert report.code == 78
    assert "SCORING_PORT: " in report.text
    if arguments:
        assert report.level("settings") == "fail"


def test_a_warning_fails_when_it_should(tmp_path: Path) -> None:
    port = str(free_port())
    assert checked(tmp_path, _JSON, "--strict", port=port).code == 1


def test_help_shows_the_flags_and_the_exit_codes(tmp_path: Path) -> None:
    report = ran(tmp_path, "--help")
    assert report.code == 0
    assert all(fact in report.text for fact in ("--json", "--strict", "78"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_example_key_on_an_open_address_fails(host: str, tmp_path: Path) -> None:
    report = checked(tmp_path, _JSON, host=host, port=str(free_port()))
    assert report.code == 1
    assert report.level("keys") == "fail"
    assert "loopback only" in report["keys"]["description"]


@pytest.mark.slow
def test_a_keys_file_that_all_may_read_fails(tmp_path: Path) -> None:
    folder = Path("/var/tmp") / f"doctor-{os.getpid()}"  # one that others can get into
    folder.mkdir(mode=0o755)
    keys = folder / "keys"
    try:
        keys.write_text(f"partner:{GOOD_KEY}\n")
        keys.chmod(0o646)
        open_to_all = checked(tmp_path, _JSON, api_keys_file=str(keys), port=str(free_port()))
        keys.chmod(0o600)
        closed = checked(tmp_path, _JSON, api_keys_file=str(keys), port=str(free_port()))
    finally:
        shutil.rmtree(folder)
    assert open_to_all.code == 1
    assert open_to_all.level("keys file") == "fail"
    assert open_to_all["keys file"]["remedy"] == f"chmod 600 {keys}"
    assert closed.code == 0
    assert [closed.level(name) for name in ("keys file", "keys")] == ["ok", "ok"]


def test_an_empty_keys_file_fails(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# nobody\n")
    report = checked(tmp_path, _JSON, api_keys_file="keys", port=str(free_port()))
    assert report.code == 1
    assert states(report["keys"]["description"], "SCORING_API_KEYS_FILE: keys: ", "no key")


def test_a_keys_file_that_this_user_cannot_read_fails(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"partner:{GOOD_KEY}\n")
    keys.chmod(0)
    port = str(free_port())
    report = ran(tmp_path, _JSON, through=POWERLESS, api_keys_file=str(keys), port=port)
    assert (report.code, report.level("keys")) == (1, "fail")
    assert report["keys"]["description"].endswith("Permission denied")
    assert report.level("model") == "warn", "the rest is reported all the same"


def test_a_folder_that_is_missing_fails(tmp_path: Path) -> None:
    report = checked(tmp_path, _JSON, host=f"unix:{tmp_path}/none/s")
    assert report.code == 1
    assert states(report["address"]["remedy"], f"mkdir -p {tmp_path}/none")


@pytest.mark.slow
def test_few_open_files_fail(tmp_path: Path) -> None:
    def limited(count: int) -> Report:
        through = ("prlimit", f"--nofile={count}:{count}")
        return ran(tmp_path, _JSON, through=through, port=str(free_port()))

    few, enough = limited(100), limited(CONNECTIONS + OWN_FILES)
    assert (few.code, few.level("open files")) == (1, "fail")
    assert "it takes 52 connections" in few["open files"]["description"]
    assert (enough.code, enough.level("open files")) == (0, "ok")


@pytest.mark.slow
def test_a_damaged_model_fails_by_its_manifest(tmp_path: Path) -> None:
    copy = tmp_path / BUNDLED.name
    shutil.copy(BUNDLED.with_name("manifest.json"), tmp_path)
    shutil.copy(BUNDLED, copy)
    sound = checked(tmp_path, _JSON, model=str(copy), port=str(free_port()))
    assert (sound.code, sound.level("model")) == (0, "ok")
    assert "16 golden scores agree" in sound["model"]["description"]
    blob = bytearray(copy.read_bytes())
    blob[len(blob) // 2] ^= 0xFF
    copy.write_bytes(blob)
    damaged = checked(tmp_path, _JSON, model=str(copy), port=str(free_port()))
    assert (damaged.code, damaged.level("model")) == (1, "fail")
    assert "SHA-256 differs" in damaged["model"]["description"]


@pytest.mark.parametrize(
    ("change", "reason"), [("golden", "golden row 0 scores"), ("features", "other features")]
)
def test_a_manifest_of_another_training_fails(change: str, reason: str, tmp_path: Path) -> None:
    shutil.copy(BUNDLED, tmp_path)
    manifest = json.loads(BUNDLED.with_name("manifest.json").read_text())
    manifest[change] = [manifest[change][1], *manifest[change][1:]]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    report = checked(tmp_path, _JSON, model=str(tmp_path / BUNDLED.name), port=str(free_port()))
    assert (report.code, report.level("model")) == (1, "fail")
    assert reason in report["model"]["description"]


@pytest.mark.slow
def test_no_secret_is_in_the_report(tmp_path: Path) -> None:
    for arguments in ((), (_JSON,)):
        report = ran(
            tmp_path,
            *arguments,
            api_keys=f"a:{_SECRET},b:{_SECRET}",
            metrics_token=_SECRET,
            sentry_dsn=f"http://{_SECRET}@127.0.0.1:{free_port()}/1",
            port=str(free_port()),
        )
        assert report.code == 0
        assert _SECRET not in report.text + report.errors
    assert report.level("key strength") == "warn"


@pytest.mark.slow
def test_a_running_server_is_recognised_and_left_alone(tmp_path: Path) -> None:
    port = str(free_port())
    with serving(tmp_path, host="127.0.0.1", port=port) as server:
        (folder,) = server.metrics_folders()
        before = {path.name for path in folder.iterdir()}
        workers = server.pids()
        report = checked(tmp_path, _JSON, port=port)
        assert report.level("address") == "ok"
        assert f"process {server.process.pid} (" in report["address"]["description"]
        after = {path.name for path in folder.iterdir()}
        assert before <= after
        # Those of the next two workers, too.
        assert all(re.fullmatch(r"\w+_(master|[0-3])\.db|in-use", name) for name in after)
        assert server.pids() == workers
    lines = [line["message"] for line in server.log() if "message" in line]
    assert not [line for line in lines if "refused" in line]


@pytest.mark.slow
def test_a_server_on_a_unix_socket_is_known_too(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        report = checked(tmp_path, _JSON, host=f"unix:{server.socket}")
        assert report.level("address") == "ok"
        assert f"process {server.process.pid} (" in report["address"]["description"]


def test_what_breaks_a_check_breaks_nothing_else() -> None:
    from functools import partial

    from service.doctor.finding import ok

    def half_read(*, breaks: bool) -> "object":
        yield ok("first", "fine")
        if breaks:
            raise PermissionError("/proc/secret")

    (finding,) = run_check(partial(half_read, breaks=True))  # type: ignore[arg-type]
    assert (finding.level, finding.name) == ("unknown", "half read")
    assert mentions(finding.description, "unknown", "PermissionError")
    assert run_check(partial(half_read, breaks=False)) == [ok("first", "fine")]  # type: ignore[arg-type]
