"""What the web processes refuse to start with, each by the name of its setting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.support.commands import environment
from tests.support.paths import ROOT


def _refused(folder: Path, *arguments: str, **settings: str) -> str:
    """Start web processes that must not start: what they say, once they have ended."""
    usual = {"web_port": str(free_port()), "jobs_dir": str(folder / "jobs")}
    named = {f"SCORING_{k.upper()}": v for k, v in {**usual, **settings}.items()}
    done = subprocess.run(
        [sys.executable, "-m", "service.web", *(("--", *arguments) if arguments else ())],
        cwd=folder,
        env=environment(folder, {"PYTHONPATH": str(ROOT), **named}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {os.EX_CONFIG, os.EX_TEMPFAIL}, done.stderr + done.stdout
    assert done.stderr.startswith("Not started. ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("Not started. ")


_BROKER = "amqp://jobs:wL9x@queue/scoring"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"broker": _BROKER}, "SCORING_RECORDS"),
        ({"records": "redis://:wL9x@records/0"}, "SCORING_BROKER"),
        ({"web_host": "203.0.113.1", "api_keys": "a:b"}, "SCORING_WEB_PORT"),
        ({"web_host": "0.0.0.0"}, "SCORING_API_KEYS"),
        ({"web_threads": "1"}, "SCORING_WEB_THREADS"),
        ({"jobs_dir": "/proc/none"}, "SCORING_JOBS_DIR"),
        ({"webhooks_file": "/none/such"}, "SCORING_WEBHOOKS_FILE"),
    ],
)
def test_a_bad_setting_stops_the_start_by_its_name(
    settings: dict[str, str], named: str, tmp_path: Path
) -> None:
    said = _refused(tmp_path, **settings)
    assert said.startswith(f"{named}: ")
    assert "wL9x" not in said


def test_records_that_are_damaged_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/records.sqlite").write_bytes(b"no database" * 1000)
    assert _refused(tmp_path).startswith("SCORING_JOBS_DIR: ")


@pytest.mark.parametrize("argument", ["--worker-class=sync", "--logger-class=logging.Logger"])
def test_no_argument_replaces_what_the_web_processes_need(argument: str, tmp_path: Path) -> None:
    assert "can't be changed" in _refused(tmp_path, argument)
