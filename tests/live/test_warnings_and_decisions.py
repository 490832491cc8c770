"""On the real server: warnings in the log, decisions by the costs of the settings."""

import json
import re
from pathlib import Path
from typing import Any

from model.regno import BUNDLED
from tests.support.server import METRICS_TOKEN, Server, eventually, serving
from tests.support.strategies import VALID

_ROW: dict[str, Any] = json.loads(VALID)
_COMMAS = {**_ROW, "afts_regno_ai_char_scores": "[0,99, 0,98, 0,97]"}
_DECEMBER = {**_ROW, "time_check": "2021-12-01 10:00:00"}
# As many rows as there are single requests and arrays, by rows and as a table.
_MANY = (1, 3, 400)


def _samples(server: Server, name: str) -> dict[str, float]:
    """The samples of a name that are not 0, by their labels."""
    with server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client:
        page = client.get("/metrics").text
    samples = re.findall(rf"^{name}{{(.*)}} (\S+)$", page, re.MULTILINE)
    return {labels: float(value) for labels, value in samples if float(value)}


def _access_lines(server: Server) -> list[tuple[str, list[str], int]]:
    """Level, warnings and rows of the scored requests that are logged."""
    lines = [line for line in server.log() if line.get("route") == "/reg"]
    return [(line["level"], line["warnings"], line["rows"]) for line in lines]


def _of_one_month(folder: Path) -> Path:
    """The bundled model, with a manifest as of a training on a Sunday in August."""
    manifest = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    manifest["vocabularies"] |= {"month": ["August"], "weekday": ["Sunday"]}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    model = folder / BUNDLED.name
    model.write_bytes(BUNDLED.read_bytes())
    return model


def test_a_new_month_is_sampled_as_any_other_and_a_doubtful_list_is_always_logged(
    tmp_path: Path,
) -> None:
    model = str(_of_one_month(tmp_path))
    names = ["out-of-range:afts_regno_ai_char_scores", "length-mismatch:afts_regno_ai_char_scores"]
    settings = {"model": model, "unseen": "reject", "log_sample": "0"}
    with serving(tmp_path, **settings) as server:
        with server.client() as client:
            for rows in _MANY:
                for row, warnings in ((_DECEMBER, []), (_COMMAS, names)):
                    reply = client.post("/reg/", json=row if rows == 1 else [row] * rows)
                    assert reply.status_code == 200
                    header = reply.headers.get("X-Score-Warnings", "")
                    assert [name for name in header.split(", ") if name] == warnings
        eventually(lambda: len(_access_lines(server)) == len(_MANY), "doubtful ones are logged")
        assert _access_lines(server) == [("warning", names, rows) for rows in _MANY]
        assert _samples(server, "scoring_warnings_total") == {
            f'field="afts_regno_ai_char_scores",kind="{kind}"': sum(_MANY)
            for kind in ("out-of-range", "length-mismatch")
        }


def test_what_is_counted_is_what_the_costs_decide(tmp_path: Path) -> None:
    settings = {"cost_manual": "0.45", "cost_network_wrong": "2.0", "admins": "example"}
    with serving(tmp_path, **settings) as server:
        with server.client() as client:
            decisions = [
                row["decision"]
                for rows in _MANY
                for row in client.post("/reg/?detail=1", json=[_ROW] * rows).json()["body"]
            ]
            state = client.get("/model").json()["body"]
        assert set(decisions) == {"network"}
        assert state["thresholds"] == {
            "camera": 0.45,
            "network": 0.775,
            "source": "costs",
        }
        assert _samples(server, "scoring_decision_threshold_ratio") == {
            'decision="camera"': 0.45,
            'decision="network"': 0.775,
        }
        labels = f'camera_class="{_ROW["camera_class"]}",decision="network"'
        assert _samples(server, "scoring_decisions_total") == {labels: sum(_MANY)}
