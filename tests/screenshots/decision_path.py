"""What the dashboard *Quality* shows: a sink, whose log has labelled decisions of some days."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import time
from typing import Final

from loadgen.common.processes import free_port, responds, running
from service.decisions.decision import Feedback
from service.decisions.log import DecisionLog
from tests.support.decisions import decision, opened

_DECISIONS: Final = 200
_DAY: Final = 86_400


@contextmanager
def running_sink(folder: Path, settings: dict[str, str]) -> Iterator[int]:
    """The sink of a log with labels; the port of its metrics. Raises CannotStart."""
    port = free_port()
    fill(folder / "decisions")
    own = {
        **settings,
        "SCORING_DECISIONS_DIR": str(folder / "decisions"),
        "SCORING_SINK_METRICS_BIND": f"127.0.0.1:{port}",
    }
    command = (sys.executable, "-m", "service.decisions", "sink")
    ready = lambda: responds(f"http://127.0.0.1:{port}/healthz")  # noqa: E731
    with running(command, folder / "sink" / "log", ready, own):
        yield port


def fill(folder: Path) -> None:
    """Write a log with decisions on the golden readings; a tenth of the automatic ones is wrong."""
    log, random, now = DecisionLog(folder), Random(18), time()
    made, said = [], []
    for number in range(_DECISIONS):
        positive = random.random()
        sides = ("camera", "manual", "network")
        made.append(
            decision(
                number, now - _DAY * (number % 7), positive=positive,
                version=f"2026-{10 + number % 2}", decision=sides[int(positive * 3)],
                audited=True, audit_probability=0.5,
            )
        )  # fmt: skip
        outcome = "network" if positive > 0.5 else "camera"
        wrong = {"network": "camera", "camera": "network"}
        outcome = wrong[outcome] if number % 10 == 0 else outcome
        said.append(Feedback(now - _DECISIONS + number, f"request-{number}", 0, outcome, "s"))
    log.append([opened(log, one) for one in made])
    log.record(said)
    log.close()
