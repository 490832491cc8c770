"""A machine without processes, room in /dev/shm, or files: workers that serve go on."""

import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadgen.common.processes import free_port
from model.drift.counter import Variable
from tests.support.live import Connection, connections, scores, started, started_through
from tests.support.messages import states
from tests.support.metrics import value
from tests.support.pids import pids_group
from tests.support.server import METRICS_TOKEN, Server, eventually
from tests.support.strategies import VALID
from tests.support.swapping import SECOND, registry_of_twins, serves

pytestmark = pytest.mark.slow

_STARTS = "scoring_worker_starts_total"
_AGAIN = "Resource temporarily unavailable"


def test_when_no_process_can_start_the_live_workers_serve_and_the_start_is_retried(
    tmp_path: Path,
) -> None:
    with pids_group() as group, started(tmp_path) as server:
        eventually(lambda: value(server, _STARTS) == 2, "both have started")
        group.take(server.process.pid)
        group.allow(1)
        dies, lives = server.workers()
        dies.kill()
        eventually(
            lambda: bool(server.messages("can't be started", "1 of 2", _AGAIN)),
            "the failed start is logged",
        )
        assert scores(server)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: bool(server.messages("retry in 2 s")), "it is tried again")
        assert server.pids() == [lives.pid]
        assert scores(server)
        group.allow(100)
        eventually(lambda: value(server, _STARTS) == 4, "two have started")
        eventually(lambda: len(server.pids()) == 2, "the one of before is replaced")
        assert lives.pid not in server.pids()
        assert server.stop() == 0
        assert server.errors() == ""


def test_a_start_without_processes_waits_for_them(tmp_path: Path) -> None:
    with pids_group() as group:
        group.allow(1)
        server = Server(tmp_path, {}, through=group.through)
        try:
            eventually(
                lambda: bool(server.messages("can't be started", "0 of 2", _AGAIN)),
                "the failed start is logged",
            )
            group.allow(100)
            server.wait_ready()
        finally:
            assert server.stop() == 0
        assert server.errors() == ""


_NAMESPACE = ("unshare", "--mount", "--propagation", "private")
_SMALL = 'mount -t tmpfs -o size=16m tmpfs /dev/shm; exec "$@"'


def _fill(server: Server) -> None:
    """Leave no byte in its /dev/shm."""
    shm = Path(f"/proc/{server.process.pid}/root/dev/shm")
    with (shm / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert shutil.disk_usage(shm).free == 0


def _page(server: Server) -> str:
    with server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client:
        return client.get("/metrics").raise_for_status().text


def test_full_shared_memory_kills_no_worker_and_a_killed_one_is_replaced(
    tmp_path: Path,
) -> None:
    probe = [*_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("mounts in a namespace of one's own are not permitted here (root may)")
    # Its reference makes far more series than the files have room for.
    names = [f"value number {number:060}" for number in range(1500)]
    wide = Variable("camera_class", [1 / 1501] * 1501, 0.5, values=names)
    registry = registry_of_twins(tmp_path, reference=msgspec.to_builtins([wide]))
    settings = {"host": "127.0.0.1", "port": str(free_port()), "admins": "example"}
    follow = {"registry": str(tmp_path / "models"), "registry_poll_seconds": "0.1"}
    through = (*_NAMESPACE, "sh", "-ec", _SMALL, "sh")
    with started_through(through, tmp_path, **settings, **follow) as server:
        eventually(lambda: value(server, _STARTS) == 2, "both have started")
        _fill(server)
        with connections(server, 8) as opened:
            for connection in opened:
                assert connection.score(VALID).status == 200
                assert connection.ask("PUT", "/nowhere").status == 404
        pids = server.pids()
        registry.promote(SECOND, who="the tests")
        eventually(lambda: serves(server, SECOND), "both have changed over")
        assert server.pids() == pids
        server.workers()[0].kill()
        eventually(lambda: value(server, _STARTS) == 3, "a successor starts")
        eventually(lambda: serves(server, SECOND), "it serves what the other does")
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: value(server, _STARTS) == 5, "both are replaced")
        eventually(lambda: serves(server, SECOND), "they serve it too")
        assert value(server, 'scoring_rows_total{result="scored"}') == 8
        assert list(text_string_to_metric_families(_page(server)))
        assert server.stop() == 0
        assert "SIGBUS" not in server.output()
        assert server.messages("metrics are missing", "No space left on device")
        assert server.errors() == ""


@pytest.mark.parametrize("allowed", [60, 200])
def test_without_files_idle_connections_end_no_worker(allowed: int, tmp_path: Path) -> None:
    through = ("prlimit", f"--nofile={allowed}:{allowed}")
    with ExitStack() as ends:
        server = ends.enter_context(started_through(through, tmp_path))
        pids = server.pids()
        kept = Connection(server)
        ends.callback(kept.close)
        assert kept.score(VALID).status == 200
        for _ in range(allowed + 20):
            ends.enter_context(_idle(server))
        assert kept.score(VALID).status == 200
        eventually(lambda: scores(server), "idle ones give way")
        assert server.pids() == pids
        assert server.messages(f"{allowed} open files", f"{allowed - 48} connections")
        assert [line for line in server.log() if line["level"] in ("error", "critical")] == []
        assert server.stop() == 0


def _idle(server: Server) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(server.socket))
    return connection


def test_the_soft_limit_of_files_is_raised(tmp_path: Path) -> None:
    with started_through(("prlimit", "--nofile=70:2000"), tmp_path) as server:
        for pid in (server.process.pid, *server.pids()):
            limits = Path(f"/proc/{pid}/limits").read_text()
            (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
            assert line.split()[3:5] == ["2000", "2000"]
        assert not server.messages("open files")
        assert server.stop() == 0


def test_too_few_files_to_serve_at_all_are_reported(tmp_path: Path) -> None:
    server = Server(tmp_path, {}, through=("prlimit", "--nofile=48:48"))
    assert server.process.wait(60) == 78
    assert states(server.errors(), "Not started. ulimit -Hn: ", "48 open files", "worker needs 48")


@pytest.mark.parametrize(
    ("limit", "facts"),
    [
        ("--fsize=102400", ("ulimit -f: ", "516 KiB", "100 KiB")),
        ("--fsize=600000", ("temporary copy", "File too large")),
        ("--as=104857600", ("ulimit -v: ", "102400 KiB", "load")),
        ("--as=314572800", ("ulimit -v: ", "307200 KiB", "load")),
    ],
)
def test_too_low_a_limit_is_named(limit: str, facts: tuple[str, ...], tmp_path: Path) -> None:
    server = Server(tmp_path, {}, through=("prlimit", limit))
    assert server.process.wait(60) == 78
    (line,) = server.errors().splitlines()
    assert states(line, "Not started. ", *facts)


def test_a_start_that_may_write_nothing_ends_with_78(tmp_path: Path) -> None:
    # Its output goes elsewhere: the limit is on files.
    silent = ("sh", "-c", 'exec prlimit --fsize=0 "$@" >/dev/null 2>&1', "sh")
    server = Server(tmp_path, {}, through=silent)
    assert server.process.wait(60) == 78


def test_a_small_model_is_served_where_memory_is_limited(tmp_path: Path) -> None:
    with started_through(("prlimit", "--as=838860800"), tmp_path) as server:
        assert scores(server)
        assert server.stop() == 0
        assert server.errors() == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_stop_no_start(closed: str, tmp_path: Path) -> None:
    with started_through(("sh", "-c", f'exec "$@" {closed}', "sh"), tmp_path) as server:
        assert scores(server)
        for pid in (server.process.pid, *server.pids()):
            standard = [Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)]
            assert not [path for path in standard if not path.exists()]  # no socket, no memory
        assert server.stop() == 0
        assert server.errors() == ""
