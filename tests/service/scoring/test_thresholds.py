"""Thresholds of a version's manifest decide, unless the settings want those of the costs."""

from typing import Any

import msgspec
import pytest

from model.regno import BUNDLED, RegnoScorer
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import OwnThresholds
from tests.support.metrics import values
from tests.support.parts import AppMaker
from tests.support.server import KEY_HEADER, METRICS_TOKEN


def with_thresholds(scorer: RegnoScorer, camera: float, network: float) -> RegnoScorer:
    """The same model, with thresholds of its own."""
    assert scorer.manifest
    own = OwnThresholds(camera, network, 0.01, 0.01, 0.95, 10_000)
    described = msgspec.structs.replace(scorer.manifest, thresholds=own)
    return RegnoScorer(BinaryModel.load(BUNDLED), described)


@pytest.mark.parametrize(
    "case", [("manifest", "manual", (0.01, 0.99)), ("costs", "network", (0.3, 0.7))]
)
def test_details_and_counts_follow_the_manifest_or_the_costs(
    case: tuple[str, str, tuple[float, float]],
    make_app: AppMaker,
    scorer: RegnoScorer,
    request_body: dict[str, Any],
) -> None:
    setting, decision, in_force = case
    own, chosen = with_thresholds(scorer, 0.01, 0.99), {"admins": "example", "thresholds": setting}
    client = make_app(own, metrics_token=METRICS_TOKEN, **chosen).test_client()
    reply = client.post("/reg/?detail=1", json=request_body, headers=dict(KEY_HEADER))
    assert reply.json
    detail = reply.json["body"]
    assert detail["decision"] == decision
    margin = min(abs(detail["positive"] - threshold) for threshold in in_force)
    assert detail["margin"] == pytest.approx(margin)
    assert values(client, "scoring_decision_threshold_ratio") == {
        'decision="camera"': in_force[0],
        'decision="network"': in_force[1],
    }
    (labels,) = values(client, "scoring_decisions_total")
    assert f'decision="{decision}"' in labels
    state = client.get("/model", headers=dict(KEY_HEADER)).json
    assert state
    assert state["body"]["thresholds"] == {
        "camera": in_force[0],
        "network": in_force[1],
        "source": setting,
    }
