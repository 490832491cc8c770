"""A recorder without a server, here or in a process of its own.

`python -m tests.support.recording FOLDER COUNT CALL ERROR SHARE` offers rows one by one to a log
that requires all decisions, while a share of the calls of a kind fails, and prints the ids of those
that were replied to.
"""

import asyncio
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from msgspec import structs
from prometheus_client import CollectorRegistry

from model.regno import golden
from model.regno.scorer import RegnoScorer
from model.scorer import ScoredRow
from service.config.settings import Settings
from service.decisions.recorder import Recorder
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

    def offer(self, count: int = 1, first: int = 0) -> None:
        """Score so many golden readings."""
        for number, reading in enumerate(golden.readings()[:count], first):
            (score,) = SCORER.score([reading])
            scored = ScoredRow(0, reading, score, "f" * 64, ("readings-agree",))
            self.recorder.offer(Record(f"request-{number}"), LIVE, scored)

    def counted(self, result: str) -> float | None:
        """Entries by what became of them."""
        return self.registry.get_sample_value(
            "scoring_decision_log_entries_total", {"result": result}
        )


async def _serve(worker: Worker, count: int) -> list[str]:
    replied = []

    def reply(number: int, may_reply: bool) -> None:  # noqa: FBT001 - as the recorder calls it
        if may_reply:
            replied.append(f"request-{number}")

    for number in range(count):
        worker.offer(first=number)
        worker.recorder.when_written(partial(reply, number))
        await asyncio.sleep(0)
        if number % 10 == 0:
            worker.recorder.publish()
            await asyncio.sleep(0.001)
    return replied


@contextmanager
def _failing(call: str, error: int, share: float) -> Iterator[None]:
    """A share of the calls of a kind fails, under `fiu-run -x`."""
    fiu = ctypes.CDLL("libfiu.so.0")
    name, probability = call.encode(), ctypes.c_float(share)
    assert fiu.fiu_enable_random(name, 1, ctypes.c_void_p(error), 0, probability) == 0
    yield
    assert fiu.fiu_disable(name) == 0


def main() -> None:
    """Write the ids of the rows that were replied to, and end as if killed."""
    folder, count, call, error, share = sys.argv[1:]
    worker = Worker(Path(folder), "required")
    with _failing(call, int(error), float(share)):
        replied = asyncio.run(_serve(worker, int(count)))
    sys.stdout.write(" ".join(replied))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
