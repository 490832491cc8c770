"""File systems that are full, missing or read-only: it serves, or says in a line why not.

Each server runs in a mount namespace of its own, so that nothing else sees its mounts.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.support.paths import ROOT
from tests.support.server import KEY_HEADER, environment, eventually, free_port
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


class Outcome:
    """A server in its namespace: it serves, or has ended with a code and a line."""

    def __init__(
        self, folder: Path, mounts: str, out: IO[bytes] | None, settings: dict[str, str]
    ) -> None:
        self.run = folder / "run"
        self.run.mkdir()
        self._err = folder / "stderr"
        port = str(free_port())
        named = {"SCORING_HOST": "127.0.0.1", "SCORING_PORT": port, "SCORING_WORKERS": "2"}
        self.url = f"http://127.0.0.1:{port}"
        server = [sys.executable, "-m", "service"]
        with self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*_NAMESPACE, "sh", "-ec", f'{mounts}exec "$@"', "sh", *server],
                cwd=self.run,
                env={
                    **environment(self.run, {**named, "SCORING_METRICS_TOKEN": "t", **settings}),
                    "PYTHONPATH": str(ROOT),
                },
                stdout=out or subprocess.DEVNULL,
                stderr=err,
            )

    def errors(self) -> str:
        return self._err.read_text()

    def _serves(self) -> bool:
        assert self.process.poll() is None, self.errors()
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def assert_serves(self) -> None:
        """It must score, with both workers counting, and end by TERM without a word."""
        eventually(self._serves, "it is ready")
        for _ in range(20):
            reply = httpx.post(f"{self.url}/reg/", content=VALID, headers=_HEADERS)
            assert (reply.status_code, reply.json()["status"]) == (200, "ok")
        page = httpx.get(f"{self.url}/metrics", headers={"Authorization": "Bearer t"}).text
        assert 'scoring_rows_total{result="scored"} 20.0' in page
        self.process.terminate()
        assert self.process.wait(30) == 0
        assert self.errors() == ""

    def assert_says(self, *words: str) -> None:
        """It must end by itself, with the code of a bad setting and one line."""
        assert self.process.wait(30) == 78, self.errors()
        (line,) = self.errors().splitlines()
        assert line.startswith("Not started. ")
        for word in words:
            assert word in line


_HEADERS = {**KEY_HEADER, "Content-Type": "application/json"}


@contextmanager
def server_with(
    mounts: str, folder: Path, out: IO[bytes] | None = None, **settings: str
) -> Iterator[Outcome]:
    outcome = Outcome(folder, mounts, out, settings)
    try:
        yield outcome
    finally:
        if outcome.process.poll() is None:
            outcome.process.terminate()
        outcome.process.wait(30)


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
        server.assert_serves()


def test_too_little_space_for_metrics_is_logged_with_the_figures(tmp_path: Path) -> None:
    with server_with(_SHM.format(_FULL) + _WORK.format(_FULL), tmp_path) as server:
        server.assert_says(
            "/dev/shm or TMPDIR: 2 workers need 2.8 MiB for their metrics: ",
            "/dev/shm has 0.1, ",
            f"{server.run} has 0.1",
        )


_FEW_INODES = "size=16m,nr_inodes=20"


def test_shared_memory_without_inodes_is_passed_over(tmp_path: Path) -> None:
    with server_with(_SHM.format(_FEW_INODES), tmp_path) as server:
        server.assert_serves()


def test_a_lack_of_inodes_is_reported(tmp_path: Path) -> None:
    mounts = _SHM.format(_FEW_INODES) + _WORK.format(_FEW_INODES)
    with server_with(mounts, tmp_path) as server:
        server.assert_says(
            "/dev/shm has 16.0, but 19 free inodes of 38, ",
            f"{server.run} has 16.0, but 19 free inodes of 38",
        )


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    with server_with(_ROOT_READ_ONLY + _SHM.format("ro"), tmp_path) as server:
        server.assert_says("/dev/shm or TMPDIR: ", "neither can be written to")


def test_no_temporary_folder_for_the_model_is_reported(tmp_path: Path) -> None:
    with server_with(_ROOT_READ_ONLY + _SHM.format("size=16m"), tmp_path) as server:
        server.assert_says("SCORING_MODEL: ", "no temporary copy", "No usable temporary directory")


def test_a_log_that_can_no_longer_be_written_stops_no_scoring(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, server_with("", tmp_path, full) as server:
        server.assert_serves()
