"""The process of explanations: its priority, its end, and the report of a failure."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import psutil
import pytest

from model import NotExplained
from model.regno import Explainer, RegnoScorer
from model.regno.features import NAMES
from model.regno.golden import readings
from tests.support.paths import ROOT
from tests.support.server import eventually

_SECONDS = 60.0
_STARTER = """
import sys, psutil
from model.regno import RegnoScorer
from model.regno.golden import readings
scorer = RegnoScorer.load()
explainer = scorer.explainer()
scorer.explained(scorer.rows(readings()[:1]), explainer, 60)
print(psutil.Process().children()[0].pid, flush=True)
sys.stdin.read()
"""


class Running(NamedTuple):
    """An explainer whose process runs."""

    explainer: Explainer
    process: psutil.Process


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children())


@pytest.fixture
def running(scorer: RegnoScorer) -> Iterator[Running]:
    before = _children()
    explainer = scorer.explainer()
    _ask(scorer, explainer)
    (process,) = _children() - before
    yield Running(explainer, process)
    explainer.close()
    assert _children() <= before


def _ask(scorer: RegnoScorer, explainer: Explainer, seconds: float = _SECONDS) -> list[object]:
    return [*scorer.explained(scorer.rows(readings()[:1]), explainer, seconds)]


def test_no_rows_start_no_process(scorer: RegnoScorer) -> None:
    before = _children()
    assert scorer.explained([], scorer.explainer(), _SECONDS) == []
    assert _children() == before


def test_it_runs_with_idle_priority(running: Running) -> None:
    assert running.process.nice() == 19
    assert os.sched_getscheduler(running.process.pid) == os.SCHED_IDLE


def test_it_is_probed_again_and_again(running: Running, scorer: RegnoScorer) -> None:
    assert _ask(scorer, running.explainer) == _ask(scorer, running.explainer)
    assert running.process.is_running()


def test_one_that_was_killed_is_replaced(running: Running, scorer: RegnoScorer) -> None:
    before = _ask(scorer, running.explainer)
    running.process.kill()
    assert _ask(scorer, running.explainer) == before
    assert not running.process.is_running()


def test_what_takes_too_long_is_ended(running: Running, scorer: RegnoScorer) -> None:
    os.kill(running.process.pid, signal.SIGSTOP)
    with pytest.raises(NotExplained) as caught:
        _ask(scorer, running.explainer, 0.05)
    assert not caught.value.in_time
    assert not running.process.is_running()


def test_a_row_that_fails_is_reported_by_the_errors_name_alone(
    running: Running, scorer: RegnoScorer
) -> None:
    with pytest.raises(NotExplained, match=r"^its contributions .* \(CatBoostError\)$"):
        running.explainer.contributions([["Х777УК799"] * len(NAMES)], _SECONDS)
    assert len(_ask(scorer, running.explainer)) == 1
    assert running.process.is_running()


def test_it_ends_with_its_parent() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _STARTER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout
        process = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    eventually(lambda: not process.is_running(), "it ends too")


def test_contributions_do_not_depend_on_a_rows_company(scorer: RegnoScorer) -> None:
    rows = scorer.rows(readings()[:3])
    together = scorer._model.contributions(rows)
    assert together == [scorer._model.contributions([row])[0] for row in rows]
