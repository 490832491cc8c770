"""What a server starts with, when it follows a registry."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.config.settings import Settings
from service.rollout import startup
from service.rollout.rollout_state import RolloutState, Target
from tests.support.swapping import FIRST, SECOND, registry_of_twins


def test_a_restart_keeps_the_way_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left before the restart is named as former, so that it is not timed again."""
    generation = registry_of_twins(tmp_path).promote(SECOND, who="the tests").after.generation
    state = RolloutState(os.memfd_create("a-test"))
    monkeypatch.setattr(startup, "rollout_state", lambda _: state)
    shared = SimpleNamespace(run_folder=SimpleNamespace(path=tmp_path))
    monkeypatch.setattr(startup, "runtime", lambda: shared)
    settings = Settings(registry=str(tmp_path / "models"))
    assert startup.initial_scorer(settings, "regno", pytest.fail).version == SECOND
    order = state.order
    assert order
    assert (order.target, order.former) == (Target(SECOND, generation), FIRST)
