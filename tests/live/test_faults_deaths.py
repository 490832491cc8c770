"""Workers that die are replaced for ever, but in no storm; a server ends only if none served."""

import signal
from functools import partial
from pathlib import Path

import pytest

from tests.support.live import scores, started
from tests.support.messages import states
from tests.support.metrics import value
from tests.support.planted import PLATE
from tests.support.server import Server, eventually

pytestmark = pytest.mark.slow

_APP = "tests.support.dying:app"
_STARTS = "scoring_worker_starts_total"


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("signal", "by SIGSEGV"),
        ("code", "with exit code 3"),
        ("nothing", "with exit code 0"),
        ("exception", "with exit code 70: RuntimeError at "),
        ("interrupt", "with exit code 70: KeyboardInterrupt at "),
        ("refusal", "with exit code 70: golden row 0 scores 0.5"),
    ],
)
def test_a_server_whose_workers_never_begin_ends_and_says_why(
    how: str, cause: str, tmp_path: Path
) -> None:
    server = Server(tmp_path, {}, (_APP,))
    (server.folder / "how").write_text(how)
    try:
        assert server.process.wait(60) == 70
    finally:
        server.stop()
    (line,) = server.errors().splitlines()
    model = ("version regno-sim-a1233957 ", "SCORING_MODEL: the bundled one", "class 1 of 0 and 1")
    assert states(line, "Not started. 5 workers ended ", *model, f"the last {cause}")
    assert 5 <= len(server.messages("Booting worker")) <= 6
    assert PLATE not in server.errors() + server.output()
    assert "Traceback" not in server.errors() + server.output()


def test_a_server_that_none_can_serve_for_any_more_ends_and_says_why(tmp_path: Path) -> None:
    with started(tmp_path, _APP) as server:
        eventually(lambda: value(server, _STARTS) == 2, "both have started")
        (server.folder / "how").write_text("exception")
        for worker in server.workers():
            worker.kill()
        assert server.process.wait(60) == 70
        (line,) = server.errors().splitlines()
        facts = ("workers ended", "version regno-sim-", "exit code 70: RuntimeError at ")
        assert states(line, "Stopped. ", *facts)
        assert PLATE not in server.errors() + server.output()


@pytest.mark.parametrize("how", ["code", "exception", "signal"])
def test_a_failed_worker_start_is_retried_and_ends_no_serving_worker(
    how: str, tmp_path: Path
) -> None:
    with started(tmp_path, _APP) as server:
        eventually(lambda: value(server, _STARTS) == 2, "both have started")
        (server.folder / "how").write_text(how)
        lives, dies = server.workers()
        dies.kill()
        eventually(lambda: len(server.messages("Booting worker")) >= 8, "it is tried again")
        assert scores(server)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(server.messages("Booting worker")) >= 14, "and at a reload")
        assert lives.is_running()
        assert scores(server)
        (server.folder / "how").unlink()
        eventually(lambda: value(server, _STARTS) == 4, "two have started")
        eventually(lambda: len(server.pids()) == 2, "the former is replaced")
        assert lives.pid not in server.pids()
        assert server.stop() == 0
        assert server.messages("Workers keep dying")
        assert PLATE not in server.errors() + server.output()


def test_a_worker_that_hangs_as_it_starts_is_replaced(tmp_path: Path) -> None:
    with started(tmp_path, "tests.support.hanging:app") as server:
        eventually(lambda: value(server, _STARTS) == 2, "both have started")
        (server.folder / "how").write_text("hang")
        server.workers()[0].kill()
        eventually(lambda: bool(server.messages("not ready", "2 s")), "it is ended")
        (server.folder / "how").unlink()
        eventually(lambda: value(server, _STARTS) == 3, "another starts")
        assert scores(server)
        assert server.stop() == 0


def test_workers_that_served_are_replaced_however_often_they_die(tmp_path: Path) -> None:
    with started(tmp_path, workers="1") as server:
        eventually(partial(_has_started, server, 1), "it has started")
        for death in range(2, 10):
            server.workers()[0].kill()
            eventually(partial(_has_started, server, death), "there is another")
        assert scores(server)
        assert server.stop() == 0
        # The first five at once, the others after pauses that grow.
        pauses = [float(message.split()[-2]) for message in server.messages("Workers keep dying")]
        assert pauses == [0.2, 0.4, 0.8]


def _has_started(server: Server, starts: int) -> bool:
    return len(server.pids()) == 1 and value(server, _STARTS) == starts
