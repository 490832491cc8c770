"""File systems that are full, missing or read-only: it serves, or says in a line why not.

Each server runs in a mount namespace of its own, so that nothing else sees its mounts.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.support.messages import states
from tests.support.server import METRICS_TOKEN, Server
from tests.support.strategies import VALID

pytestmark = pytest.mark.slow

_NAMESPACE = ("unshare", "--mount", "--propagation", "private")


@pytest.fixture(scope="module", autouse=True)
def _mounts_are_permitted() -> None:
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare here (Linux only)")
    probe = [*_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("mounts in a namespace of one's own are not permitted here (root may)")


_SHM = "mount -t tmpfs -o {} tmpfs /dev/shm; "
_WORK = "mount -t tmpfs -o {} tmpfs .; cd .; "
_FULL = "size=64k"
_NO_SHM = (
    "mkdir dev; mount -t tmpfs tmpfs dev; mknod -m 666 dev/null c 1 3; "
    "mknod -m 666 dev/urandom c 1 9; mount --move dev /dev; "
)
# Whatever these are on; what lies in them stays to be seen.
_READ_ONLY = "".join(
    f"mount --bind {place} {place}; mount -o remount,ro,bind {place}; "
    for place in ("/tmp", "/var/tmp", "$PWD")
)
_ROOT_READ_ONLY = f"mount -o remount,ro,bind / || mount -o remount,ro /; {_READ_ONLY}cd $PWD; "


@contextmanager
def server_with(mounts: str, folder: Path, output: int | None = None) -> Iterator[Server]:
    """A server in its namespace, which serves or ends by itself; it is stopped at the end."""
    settings = {"SCORING_HOST": "127.0.0.1", "SCORING_PORT": str(free_port())}
    through = (*_NAMESPACE, "sh", "-ec", f'{mounts}exec "$@"', "sh")
    server = Server(folder, settings, through=through, output=output)
    try:
        yield server
    finally:
        server.close()


def assert_serves(server: Server) -> None:
    """It must score, with both workers counting, and end by TERM without a message."""
    server.wait_ready()
    with server.client(Content_Type="application/json") as client:
        for _ in range(20):
            reply = client.post("/reg/", content=VALID)
            assert (reply.status_code, reply.json()["status"]) == (200, "ok")
        token = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        assert (
            'scoring_rows_total{result="scored"} 20.0' in client.get("/metrics", headers=token).text
        )
    assert server.stop() == 0
    assert server.errors() == ""


def assert_says(server: Server, *facts: str) -> None:
    """It must end by itself, with the code of a bad setting and one line."""
    assert server.process.wait(30) == 78, server.errors()
    (line,) = server.errors().splitlines()
    assert states(line, "Not started. ", *facts)


@pytest.mark.parametrize(
    "mounts",
    [
        _SHM.format(_FULL),
        _SHM.format("nr_inodes=1"),
        _SHM.format("ro"),
        _NO_SHM,
        _WORK.format(_FULL) + "head -c 65536 /dev/zero > filler || true; ",
        _ROOT_READ_ONLY + _WORK.format("size=64m"),
        _ROOT_READ_ONLY + _WORK.format("size=64m") + _SHM.format("ro"),
    ],
    ids=[
        "shared memory full",
        "shared memory without inodes",
        "shared memory read-only",
        "no shared memory",
        "working folder full",
        "root read-only",
        "root and shared memory read-only",
    ],
)
def test_it_serves_while_one_folder_can_be_written_to(mounts: str, tmp_path: Path) -> None:
    with server_with(mounts, tmp_path) as server:
        assert_serves(server)


def test_too_little_space_for_metrics_is_logged_with_the_figures(tmp_path: Path) -> None:
    with server_with(_SHM.format(_FULL) + _WORK.format(_FULL), tmp_path) as server:
        assert_says(
            server,
            "/dev/shm or TMPDIR: 2 workers need 2.8 MiB for their metrics: ",
            "/dev/shm has 0.1, ",
            f"{server.folder} has 0.1",
        )


_FEW_INODES = "size=16m,nr_inodes=20"


def test_shared_memory_without_inodes_is_passed_over(tmp_path: Path) -> None:
    with server_with(_SHM.format(_FEW_INODES), tmp_path) as server:
        assert_serves(server)


def test_a_lack_of_inodes_is_reported(tmp_path: Path) -> None:
    mounts = _SHM.format(_FEW_INODES) + _WORK.format(_FEW_INODES)
    with server_with(mounts, tmp_path) as server:
        assert_says(
            server,
            "/dev/shm has 16.0, but 19 free inodes of 38, ",
            f"{server.folder} has 16.0, but 19 free inodes of 38",
        )


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    with server_with(_ROOT_READ_ONLY + _SHM.format("ro"), tmp_path) as server:
        assert_says(server, "/dev/shm or TMPDIR: ", "neither can be written to")


def test_no_temporary_folder_for_the_model_is_reported(tmp_path: Path) -> None:
    with server_with(_ROOT_READ_ONLY + _SHM.format("size=16m"), tmp_path) as server:
        assert_says(server, "SCORING_MODEL: ", "no temporary copy", "No usable temporary directory")


def test_a_log_that_can_no_longer_be_written_stops_no_scoring(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, server_with("", tmp_path, full.fileno()) as server:
        assert_serves(server)
