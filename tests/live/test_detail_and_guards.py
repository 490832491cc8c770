"""Details and guards on the real server: what is reported, counted over all workers, and logged."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import GOLDEN, lines
from tests.support.server import METRICS_TOKEN, Server, eventually, serving

_ADDED = {"decision", "margin", "warnings", "model"}


def _sample(server: Server, name: str, **labels: str) -> float:
    with server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client:
        page = client.get("/metrics").text
    wanted = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return sum(map(float, re.findall(rf"^{name}{{{wanted}}} (\S+)$", page, re.MULTILINE)))


def _score_lines(server: Server) -> list[dict[str, Any]]:
    return [line for line in server.log() if line.get("route") == "/reg"]


def test_details_go_the_way_of_all_scores(tmp_path: Path) -> None:
    requests = [line["request"] for line in lines(GOLDEN)[:20]]
    bodies: list[Any] = [*requests, requests]
    with serving(tmp_path) as server, server.client() as client:
        for body in bodies:
            plain = client.post("/reg/", json=body).json()["body"]
            detail = client.post("/reg/?detail=1", json=body).json()["body"]
            if isinstance(body, list):
                assert [row.keys() - _ADDED for row in detail] == [row.keys() for row in plain]
            else:
                assert {k: v for k, v in detail.items() if k not in _ADDED} == pytest.approx(plain)
        assert client.post("/reg?detail=yes", json=requests[0]).status_code == 400
        answered = {"key": "example", "method": "POST", "route": "/reg"}
        name = "scoring_http_requests_total"
        eventually(
            lambda: _sample(server, name, **answered, status="200") == 2 * len(bodies),
            "all are counted under one route",
        )
        eventually(lambda: _sample(server, name, **answered, status="400") == 1, "it is counted")
        eventually(lambda: len(_score_lines(server)) == 2 * len(bodies) + 1, "each has its line")
        assert "detail=" not in server.output()


def test_what_guards_put_right_is_counted_over_all_workers(tmp_path: Path) -> None:
    right = {
        **lines(GOLDEN)[0]["request"],
        "regno_recognize": "А939НО196",
        "camera_class": "Стрелка",
    }
    other = {**right, "regno_recognize": "A939HO196", "camera_class": "стрелка"}
    guards = "regno_recognize=normalise,camera_class=normalise"
    with serving(tmp_path, guards=guards) as server:
        for _ in range(8):  # new connections, so that both workers get some
            with server.client() as client:
                meant = client.post("/reg/", json=right).json()
                assert client.post("/reg/", json=other).json() == meant
        for field in ("regno_recognize", "camera_class"):
            assert _sample(server, "scoring_normalised_values_total", field=field) == 8
        assert "стрелка" not in server.output()
        assert "A939HO196" not in server.output()
