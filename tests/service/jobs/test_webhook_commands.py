"""`python -m service.jobs webhooks`: what an operator does with endpoints."""

import subprocess
import sys
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from loadgen.common.processes import environment
from tests.support.webhooks import SECRET, receiving

Done = subprocess.CompletedProcess[str]


def _run(folder: Path, lines: str, *arguments: str) -> Done:
    path = folder / "webhooks"
    path.write_text(lines)
    settings = {
        "SCORING_WEBHOOKS_FILE": str(path),
        "SCORING_WEBHOOK_ALLOWED_HOSTS": "127.0.0.1",
        "SCORING_JOBS_DIR": str(folder / "jobs"),
    }
    return subprocess.run(
        [sys.executable, "-m", "service.jobs", "webhooks", *arguments],
        cwd=folder,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_endpoints_are_listed_without_their_secrets(tmp_path: Path) -> None:
    done = _run(tmp_path, f"camera done https://example.com/a {SECRET}\n", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "camera done https://example.com/a secrets: 1\n"


@pytest.mark.parametrize(("status", "code"), [(204, 0), (500, 1)])
def test_a_signed_message_is_sent_for_a_test(tmp_path: Path, status: int, code: int) -> None:
    with receiving(status) as receiver:
        done = _run(tmp_path, f"camera done {receiver.url} {SECRET}\n", "test", "done")
    assert done.returncode == code, done.stderr
    assert str(status) in done.stdout + done.stderr
    ((headers, body),) = receiver.received
    assert Webhook(SECRET).verify(body, dict(headers))["type"] == "webhook.test"


def test_an_endpoint_of_two_keys_is_chosen_by_its_key(tmp_path: Path) -> None:
    with receiving(204) as receiver:
        lines = "".join(f"{owner} done {receiver.url} {SECRET}\n" for owner in ("a", "b"))
        unclear = _run(tmp_path, lines, "test", "done")
        clear = _run(tmp_path, lines, "test", "done", "--key", "b")
    assert (unclear.returncode, clear.returncode) == (64, 0)
    assert "--key: a, b" in unclear.stderr
    assert len(receiver.received) == 1


def test_an_unknown_endpoint_and_a_bad_file_are_named(tmp_path: Path) -> None:
    unknown = _run(tmp_path, "", "test", "done")
    assert (unknown.returncode, "done" in unknown.stderr) == (66, True)
    bad = _run(tmp_path, "camera done\n", "list")
    assert (bad.returncode, "SCORING_WEBHOOKS_FILE: line 1" in bad.stderr) == (78, True)


def test_nothing_was_given_up(tmp_path: Path) -> None:
    done = _run(tmp_path, "", "dead")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
