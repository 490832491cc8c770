"""The recorder of a worker: what it writes, and what it does where nothing can be written."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry

from model.regno import golden
from model.regno.scorer import RegnoScorer
from service.config.settings import Settings
from service.decisions.decision import Decision, Event, decode
from service.decisions.log import DecisionLog
from service.decisions.recorder import Recorder
from service.decisions.sink import Sink
from service.telemetry.metrics.decisions import DecisionMetrics
from service.telemetry.record import Record
from tests.support.decisions import REGNO

SCORER = RegnoScorer.load()
LIVE = SimpleNamespace(version="v1", scorer=SCORER)


class Worker:
    """A recorder without a server; each row is written at once."""

    def __init__(self, folder: Path, policy: str, **changed: Any) -> None:
        self.registry = CollectorRegistry()
        settings = structs.replace(
            Settings(), decisions=policy, decisions_dir=str(folder), **changed
        )
        metrics = DecisionMetrics(self.registry)
        decisions = REGNO.decisions(settings.costs, SCORER)
        self.recorder = Recorder(REGNO, settings, lambda _: decisions, metrics, "0.1.0")

    def offer(self, count: int = 1) -> None:
        """Score so many golden readings."""
        for number, reading in enumerate(golden.readings()[:count]):
            (score,) = SCORER.score([reading])
            self.recorder.offer(Record(f"request-{number}"), 0, reading, score, LIVE)

    def counted(self, result: str) -> float | None:
        """Entries by what became of them."""
        return self.registry.get_sample_value(
            "scoring_decision_log_entries_total", {"result": result}
        )


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
    assert worker.counted("dropped") == 1
    folder.unlink()
    worker.recorder.publish()
    assert not worker.recorder.refuses
    worker.offer(2)
    worker.recorder.close()
    assert [entry.request_id for entry in logged(folder)] == ["request-0", "request-1"]


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
