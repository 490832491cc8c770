"""The recorder of a worker: what it writes, and what it does where nothing can be written."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from model.regno import golden
from service.decisions.decision import Decision, Event, decode
from service.decisions.log import DecisionLog
from service.decisions.recorder import SPOOL
from service.decisions.segments import segments
from service.decisions.sink import Sink
from tests.support.decisions import REGNO
from tests.support.recording import SCORER, Worker


def logged(folder: Path) -> list[Any]:
    """The entries of a log after its spool was taken in."""
    log = DecisionLog(folder)
    with log.locked():
        assert sum(shipped.entries for shipped in Sink(log).ship()) == log.store.size
    entries = [decode(log.canonical(row)) for row in log.store.rows()]
    log.close()
    return entries


def test_decisions_and_events_are_written_as_they_were(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "log", "required", decisions_audit=1.0)
    worker.recorder.generation = 7
    worker.offer(3)
    worker.recorder.note("swap", former="v1", version="v2")
    worker.recorder.close()
    *decisions, event = logged(tmp_path / "log")
    for decision, reading in zip(decisions, golden.readings(), strict=False):
        assert isinstance(decision, Decision)
        request: Any = REGNO.decoder(1)(bytes(decision.request))
        (score,) = SCORER.score([request])
        assert (decision.positive, score.positive) == (SCORER.score([reading])[0].positive,) * 2
        assert (decision.generation, decision.audited, decision.sha256) == (7, True, SCORER.sha256)
        assert (decision.features, decision.warnings) == ("f" * 64, ("readings-agree",))
    assert isinstance(event, Event)
    assert (event.kind, event.data) == ("swap", {"former": "v1", "version": "v2"})
    assert (worker.counted("written"), worker.counted("dropped")) == (4, 0)


@pytest.mark.parametrize("policy", ["required", "best-effort"])
def test_a_folder_that_can_not_be_written_is_tried_again(tmp_path: Path, policy: str) -> None:
    folder = tmp_path / "log"
    folder.write_text("a file is in its place")
    worker = Worker(folder, policy)
    worker.offer()  # no exception: scoring goes on
    assert worker.recorder.refuses == (policy == "required")
    worker.recorder.publish()
    folder.unlink()
    worker.recorder.publish()
    assert not worker.recorder.refuses
    worker.offer(2)
    worker.recorder.close()
    assert worker.counted("dropped") == 0
    requests = [entry.request_id for entry in logged(folder)]
    assert requests == ["request-0", "request-0", "request-1"]


def test_replies_wait_for_what_was_offered_before(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    replies: list[bool] = []

    async def serve(worker: Worker) -> list[int]:
        worker.offer(2)
        worker.recorder.when_written(replies.append)
        before = len(replies)
        await asyncio.sleep(0)
        return [before, len(replies), sum(path.stat().st_size for path in segments(folder / SPOOL))]

    worker = Worker(folder, "required")
    before, after, size = asyncio.run(serve(worker))
    worker.recorder.close()
    assert (before, after, replies) == (0, 1, [True])
    assert size > 0
    assert len(logged(folder)) == 2


@pytest.mark.parametrize("policy", ["required", "best-effort"])
def test_a_row_that_can_not_be_written_is_replied_to_by_the_policy(
    tmp_path: Path, policy: str
) -> None:
    (tmp_path / "log").write_text("a file is in its place")
    replies: list[bool] = []

    async def serve(worker: Worker) -> None:
        for _ in range(2):  # the spool is known not to be writable the second time
            worker.offer()
            worker.recorder.when_written(replies.append)
            await asyncio.sleep(0)

    asyncio.run(serve(Worker(tmp_path / "log", policy)))
    assert replies == [policy == "best-effort"] * 2


def test_what_waits_for_a_full_disk_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(tmp_path / "log", "best-effort")
    worker.offer()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("service.decisions.segments.SegmentWriter.write", full)
    worker.offer(5)
    monkeypatch.undo()
    worker.recorder.publish()
    worker.recorder.close()
    assert len(logged(tmp_path / "log")) == 6
    assert worker.counted("dropped") == 0
