"""The server's own files, removed while it serves: it makes them again."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live import scores, started, wait_until_all_answer
from tests.support.messages import mentions
from tests.support.metrics import GOOD, counted, send, up, value
from tests.support.server import METRICS_TOKEN, Server, eventually

pytestmark = pytest.mark.slow

_STARTS = "scoring_worker_starts_total"
_BEARER = {"Authorization": f"Bearer {METRICS_TOKEN}"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with started(tmp_path) as server:
        wait_until_all_answer(server)
        yield server


def _folder(server: Server) -> Path:
    (folder,) = server.metrics_folders()
    return folder


def _page(server: Server) -> tuple[int, str]:
    with server.client(**_BEARER) as client:
        reply = client.get("/metrics")
    return reply.status_code, reply.text


def _files_are_back(server: Server, folder: Path, names: set[str]) -> bool:
    """Whether these files are there, and both workers write to theirs, of five kinds."""
    open_files = {Path(file.path) for worker in server.workers() for file in worker.open_files()}
    ours = [path for path in open_files if path.parent == folder and path.suffix == ".db"]
    return names <= _names(folder) and len(ours) == 10


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*")}


def test_without_the_folder_it_serves_and_makes_it_again_with_the_counts(server: Server) -> None:
    send(server, 20)
    begun = value(server, GOOD)
    folder = _folder(server)
    names = _names(folder)
    shutil.rmtree(folder)
    assert scores(server)
    eventually(lambda: _files_are_back(server, folder, names), "the files are made again")
    counted(server, begun + 1)
    assert value(server, "scoring_workers_configured") == 2
    assert len(server.messages("folder of the metrics", "removed")) == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    assert server.stop() == 0
    assert not folder.exists()
    assert server.errors() == ""


def test_without_the_folder_new_workers_serve(server: Server) -> None:
    for times in range(1, 3):
        folder = _folder(server)
        shutil.rmtree(folder)
        for worker in server.workers():
            worker.kill()
        eventually(lambda: up(server) == ["0", "1"], "two serve again")
        assert scores(server)
        assert len(server.messages("folder of the metrics", "removed")) == times
    shutil.rmtree(_folder(server))
    pids = server.pids()
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: not set(pids) & set(server.pids()), "both are replaced")
    eventually(lambda: len(server.pids()) == 2, "two are there")
    assert scores(server)
    assert server.stop() == 0
    assert server.errors() == ""


def test_single_files_that_are_removed_are_made_again(server: Server) -> None:
    send(server, 20)
    begun = value(server, GOOD)
    folder = _folder(server)
    names = _names(folder)
    for path in folder.glob("*.db"):
        path.unlink()
    eventually(lambda: _files_are_back(server, folder, {"in-use"}), "the workers' are back")
    counted(server, begun)
    (folder / "in-use").unlink()
    eventually((folder / "in-use").exists, "the lock is back")
    eventually(lambda: _files_are_back(server, folder, names), "all are back")
    assert server.stop() == 0
    assert server.errors() == ""


def test_while_the_folder_can_not_be_made_the_page_says_so_and_all_serve(server: Server) -> None:
    folder = _folder(server)
    shutil.rmtree(folder)
    folder.write_text("in the way")
    status, text = _page(server)
    assert status == 503
    assert mentions(text, "folder of the metrics", "removed")
    first, _ = server.workers()
    first.kill()
    eventually(lambda: first.pid not in server.pids() and len(server.pids()) == 2, "replaced")
    eventually(
        lambda: len(server.messages("metrics", "missing")) == 1,
        "the missing metrics are logged",
    )
    assert scores(server)
    folder.unlink()
    eventually(lambda: _page(server)[0] == 200, "the page is back")
    eventually(lambda: up(server) == ["0", "1"], "with both workers")
    assert server.stop() == 0
    assert len(server.messages("metrics", "missing")) == 1
    assert server.errors() == ""
