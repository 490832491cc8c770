"""A new calibration by labels of the log: better where scores were wrong, exact when served."""

import json
from collections.abc import Sequence
from functools import cache
from math import exp, log
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw

from model.errors import DataRefused, ModelRefused
from model.regno import BUNDLED, RegnoScorer, golden
from model.regno.model_file.calibration import Platt
from model.regno.request import Reading, decode_custom
from service.decisions import recalibrate, training_set
from service.decisions.choice import condition
from service.decisions.decision import Feedback
from service.decisions.log import DecisionLog
from service.decisions.training_set import Example, Known
from tests.support import tables
from tests.support.commands import run_module
from tests.support.decisions import decision, opened
from tests.support.server import KEY_HEADER
from tests.support.swapping import FIRST, following, registry_of_twins, wait_until_all_serve

START = 1_764_000_000.0
COUNT = 1_200


def planted(positive: float) -> float:
    """How probable it really is that the network is right: far less sure than the score says."""
    clipped = min(max(positive, 1e-6), 1 - 1e-6)
    return 1 / (1 + exp(1.0 - 0.5 * log(clipped / (1 - clipped))))


def scores(rows: Sequence[dict[str, Any]]) -> list[float]:
    """What the bundled model gives readings."""
    readings = [
        msgspec.json.decode(json.dumps(row), type=Reading, dec_hook=decode_custom) for row in rows
    ]
    return [score.positive for score in RegnoScorer.load().score(readings)]


@cache
def labelled(count: int) -> list[tuple[dict[str, object], float, str]]:
    """Readings, what the bundled model scores them, and outcomes by `planted`."""
    random, rows = Random(18), tables.samples(count)
    positives = scores(rows)
    outcomes = ["network" if random.random() < planted(each) else "camera" for each in positives]
    return list(zip(rows, positives, outcomes, strict=True))


def filled(folder: Path, count: int) -> DecisionLog:
    """A log with such decisions, all drawn, half of them with a smaller chance."""
    log = DecisionLog(folder)
    made = [
        decision(
            number, START + number, positive=positive,
            request=Raw(json.dumps(row, ensure_ascii=False).encode()),
            audited=True, audit_probability=0.5 if number % 2 else 0.25,
            decision="network" if positive > 0.5 else "camera",
        )
        for number, (row, positive, _) in enumerate(labelled(count))
    ]  # fmt: skip
    log.append([opened(log, one) for one in made])
    outcomes = [outcome for _, _, outcome in labelled(count)]
    log.record([Feedback(START, f"request-{at}", 0, said, "s") for at, said in enumerate(outcomes)])
    return log


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """The labelled decisions of a log."""
    log = filled(tmp_path_factory.mktemp("log"), COUNT)
    found, _ = training_set.examples(log, condition(), Known())
    log.close()
    return found


@pytest.mark.parametrize("method", recalibrate.METHODS)
def test_wrong_probabilities_are_put_right(given: list[Example], method: str) -> None:
    found = recalibrate.fitted(BUNDLED, given, method, "next")
    assert found.labels == COUNT
    assert found.is_better
    assert found.after.log_loss < 0.8 * found.before.log_loss
    assert found.after.calibration_error < 0.5 * found.before.calibration_error
    scorer = RegnoScorer.load()
    raw = np.array([score.positive for score in scorer.score(golden.readings())])
    assert found.manifest.golden == found.manifest.calibration.apply(raw).tolist()
    assert found.manifest.sha256 == scorer.sha256
    assert found.manifest.training["recalibrated"] == {"version": scorer.version, "rows": COUNT}
    before = {each.name: each for each in scorer.manifest.reference}  # type: ignore[union-attr]
    changed = [each.name for each in found.manifest.reference if each != before[each.name]]
    assert changed == ["positive"]


def test_a_platt_calibration_finds_the_planted_line(given: list[Example]) -> None:
    found = recalibrate.fitted(BUNDLED, given, "platt", "next")
    calibration = found.manifest.calibration
    assert isinstance(calibration, Platt)
    assert calibration.slope == pytest.approx(0.5, abs=0.1)
    assert calibration.intercept == pytest.approx(-1.0, abs=0.3)


def test_too_few_labels_and_thresholds_of_its_own_are_refused(
    tmp_path: Path, given: list[Example]
) -> None:
    found = given[:20]
    with pytest.raises(DataRefused, match="20 labels: at least 200 are needed"):
        recalibrate.fitted(BUNDLED, found, "platt", "next")
    thresholds = {"camera": 0.1, "network": 0.9, "max_camera_error": 0.01}
    thresholds |= {"max_network_error": 0.01, "confidence": 0.95, "rows": 1000}
    registry = registry_of_twins(tmp_path, thresholds=thresholds)
    with pytest.raises(ModelRefused, match="thresholds of its own"):
        recalibrate.fitted(registry.fetch("second"), found, "platt", "next")


def test_a_version_of_a_version_has_one_addition() -> None:
    name = recalibrate.version_of("regno-sim-a1233957", "platt", START)
    assert name == "regno-sim-a1233957-platt-20251124T160000"
    assert recalibrate.version_of(name, "isotonic", START) == (
        "regno-sim-a1233957-isotonic-20251124T160000"
    )


@pytest.mark.slow
def test_the_new_version_passes_the_gate_and_is_served_exactly(tmp_path: Path) -> None:
    registry = registry_of_twins(tmp_path)
    filled(tmp_path / "log", COUNT).close()
    settings = {
        "SCORING_DECISIONS_DIR": str(tmp_path / "log"),
        "SCORING_REGISTRY": str(tmp_path / "models"),
    }
    made = run_module(tmp_path, "service.decisions", "calibrate", settings=settings)
    assert made.returncode == 0, made.stderr
    version = made.stdout.rsplit(maxsplit=1)[-1]
    assert version.startswith(f"{FIRST}-platt-")
    rows = str(tmp_path / "rows.csv")
    written = run_module(tmp_path, "service.decisions", "training-set", rows, settings=settings)
    assert written.returncode == 0, written.stderr
    with following(tmp_path) as server:
        wait_until_all_serve(server, FIRST)
        models = ("--models", str(tmp_path / "models"))
        # Of a busy machine both versions take turns at being slow.
        given = ("--rows", rows, "--max-slowdown", "1000")
        promoted = run_module(tmp_path, "model.registry", *models, "promote", version, *given)
        assert promoted.returncode == 0, promoted.stderr
        wait_until_all_serve(server, version)
        readings = tables.samples(50)
        with server.client() as client:
            reply = client.post("/reg/", json=readings, headers=KEY_HEADER)
        served = [one["positive"] for one in reply.raise_for_status().json()["body"]]
    raw = np.array(scores(readings))
    calibration = RegnoScorer.load(registry.fetch(version)).manifest.calibration  # type: ignore[union-attr]
    assert calibration is not None
    assert served == calibration.apply(raw).tolist()
    assert served != raw.tolist()
    shown = run_module(tmp_path, "service.decisions", "calibrate", settings={
        "SCORING_DECISIONS_DIR": str(tmp_path / "log")})  # fmt: skip
    assert shown.returncode == 78
    assert "SCORING_REGISTRY" in shown.stderr
