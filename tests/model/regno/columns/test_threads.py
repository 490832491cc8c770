"""Threads that score at once get the right scores, and CatBoost's stray lines stay off stdout."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from model.regno import BUNDLED
from model.regno.features import CATEGORICAL, NAMES, TEXT
from tests.support import toys
from tests.support.paths import ROOT


def _run(model: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.support.predict_in_threads", str(model), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",  # without the lock, bytes of anybody's memory come out
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained with `verbose`: such a one makes CatBoost talk when threads predict at once.

    The customer's was trained so, too.
    """
    model = toys.train(NAMES, cat=CATEGORICAL, text=TEXT, verbose=5, log_cout=io.StringIO())
    return toys.save(model, tmp_path_factory.mktemp("talkative"))


def _assert_right_and_quiet(model: Path) -> None:
    ran = _run(model)
    assert ran.stderr == "2400 scores, 0 wrong\n"
    assert ran.returncode == 0
    assert ran.stdout == ""


def test_four_threads_score_right_and_leave_stdout_empty(talkative: Path) -> None:
    _assert_right_and_quiet(talkative)


def test_four_threads_score_right_and_leave_stdout_empty_with_the_bundled_model() -> None:
    _assert_right_and_quiet(BUNDLED)


def test_four_threads_score_right_and_leave_stdout_empty_with_the_customers_model(
    customer_model: Path,
) -> None:
    _assert_right_and_quiet(customer_model)


@pytest.mark.slow
def test_without_the_lock_the_same_threads_do_spoil_stdout(talkative: Path) -> None:
    assert "Object info sizes" in _run(talkative, "unlocked").stdout
