"""Runs that do not start, and runs that are interrupted."""

import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from loadgen.common.processes import free_port
from loadgen.load.verdict import EXIT_CODES, Outcome
from tests.support.load import command, double, environment, load, locust, shapes_file
from tests.support.messages import mentions, states
from tests.support.paths import ROOT


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (("--shape", "rampe"), ("no shape 'rampe'", "smoke", "ramp")),
        (("--shape", "smoke", "--rows", "/none.csv"), ("none.csv",)),
    ],
)
def test_what_is_missing_is_named_before_anything_starts(
    arguments: tuple[str, ...], facts: tuple[str, ...]
) -> None:
    finished = subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(), capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert finished.returncode == 2
    assert mentions(finished.stderr, *facts)


URL = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "key", "reason"),
    [
        (("--url", URL), "", "LOADGEN_API_KEY"),
        (("--url", URL), "two\nlines", "LOADGEN_API_KEY"),
        (("--url", "127.0.0.1:8000"), "k", "like http://127.0.0.1:8000"),
        (("--url", "ftp://127.0.0.1"), "k", "like http://127.0.0.1:8000"),
        (("--url", URL, "--metrics-port", "99999"), "k", "LOADGEN_METRICS_PORT: 99999"),
        (("--url", URL, "--out", "/dev/null"), "k", "/dev/null: File exists"),
    ],
)
def test_an_invalid_setting_is_rejected_before_anything_is_sent(
    tmp_path: Path, arguments: tuple[str, ...], key: str, reason: str
) -> None:
    code, output = load(tmp_path, shapes_file(tmp_path), *arguments, LOADGEN_API_KEY=key)
    assert code == 2, output
    assert reason in output
    assert "Traceback" not in output
    assert "lines" not in output


@pytest.mark.parametrize("content", [None, "", "two keys", "ключ"])
def test_a_file_without_a_key_is_named(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    url = f"http://127.0.0.1:{free_port()}"
    shapes = shapes_file(tmp_path)
    code, output = load(tmp_path, shapes, "--url", url, LOADGEN_API_KEY_FILE=str(file))
    assert code == 2
    assert states(output, f"Not started. LOADGEN_API_KEY_FILE: {file} ")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_process_behind(tmp_path: Path, number: int) -> None:
    """Not the service either, which has a session of its own; the status is not a success."""
    arguments = ("--shape", "made", "--shapes", str(shapes_file(tmp_path)), "--out", str(tmp_path))
    with subprocess.Popen(
        # What started these tests may ignore signals, as nohup and a shell's `&` do.
        ["env", "--default-signal=INT,HUP", *command(*arguments, "--processes", "2")],
        cwd=ROOT, env=environment(), text=True, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        next(line for line in process.stdout or () if line.startswith("   1 s"))
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert len(started) >= 5  # Locust and two generators, the service and its workers
    assert process.returncode == 128 + number
    assert psutil.wait_procs(started, timeout=5)[1] == []


@pytest.mark.slow
def test_a_folder_that_is_gone_when_a_run_ends_is_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = ("--shapes", str(shapes_file(tmp_path, seconds=3)), "--out", str(out))
    with double() as url, subprocess.Popen(
        command("--shape", "made", "--url", url, *files), cwd=ROOT, text=True,
        env=environment(LOADGEN_API_KEY="k"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        next(line for line in process.stdout or () if line.startswith("   1 s"))
        out.rmdir()
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 2, output + errors
    assert "requests a second" in output
    assert mentions(errors, f"Not written. {out}: ", "No such file or directory")
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_master_whose_last_worker_is_lost_ends(tmp_path: Path) -> None:
    """It does not wait for another worker, and the exit code is not a success."""
    port = str(free_port())
    files = ("--shapes", str(shapes_file(tmp_path)), "--out", str(tmp_path / "out"))
    with double() as url:
        master = locust("--master", "--master-bind-port", port, "--expect-workers", "1",
                        "--headless", "--only-summary", "-H", url, *files)  # fmt: skip
        worker = locust("--worker", "--master-port", port, *files)
        with master, worker:
            next(line for line in master.stdout or () if line.startswith("   1 s"))
            worker.kill()
            try:
                output, _ = master.communicate(timeout=20)
            finally:
                master.kill()
    assert master.returncode == EXIT_CODES[Outcome.NOTHING_RAN], output
    assert mentions(output, "Stopped", "no verdict")
