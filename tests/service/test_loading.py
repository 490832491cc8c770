"""One verdict for all workers, and how long it holds."""

import os
from pathlib import Path

import pytest

from model import ModelRefused
from service.swap.loading import Examination


class Examiner:
    """Refuses while `reason` is not ""."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        self.asked = 0

    def __call__(self, _model: Path) -> None:
        self.asked += 1
        if self.reason:
            raise ModelRefused(self.reason)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.cbm"
    path.write_bytes(b"a model")
    return path


def _age(folder: Path) -> None:
    (verdict,) = folder.glob("examined-*")
    os.utime(verdict, (0, 0))


def test_a_good_model_is_examined_once(model: Path) -> None:
    examiner = Examiner()
    Examination(model.parent, examiner)(model)
    _age(model.parent)
    Examination(model.parent, examiner)(model)
    assert examiner.asked == 1


def test_a_refusal_holds_for_all_who_ask_now(model: Path) -> None:
    examiner = Examiner("it is not loaded after 120 s")
    for _ in range(2):
        with pytest.raises(ModelRefused, match="120 s"):
            Examination(model.parent, examiner)(model)
    assert examiner.asked == 1


def test_a_refusal_is_not_for_ever(model: Path) -> None:
    examiner = Examiner("it is not loaded after 120 s")
    with pytest.raises(ModelRefused):
        Examination(model.parent, examiner)(model)
    _age(model.parent)
    examiner.reason = ""
    Examination(model.parent, examiner)(model)
    Examination(model.parent, examiner)(model)
    assert examiner.asked == 2
