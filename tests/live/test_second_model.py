"""A second model, in one folder and named by one line, has all that the first one has."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadgen.common.processes import free_port
from tests.support.commands import run_module
from tests.support.doctor import Report
from tests.support.metrics import TOKEN, value
from tests.support.paths import ROOT, WITH_TOY
from tests.support.registry import command
from tests.support.server import Server, eventually
from tests.support.strategies import VALID
from tests.support.swapping import registry_of_twins, scored
from tests.support.toy_registry import add_toy, toy_command

pytestmark = pytest.mark.slow

_ROWS = 'scoring_catalog_rows_total{model="toy",result="%s"}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry of both models: of the toy two versions, the first of which is live."""
    folder = tmp_path_factory.mktemp("second")
    registry_of_twins(folder)
    add_toy(folder, "gentle", 0.1)
    add_toy(folder, "steep", 0.2)
    toy_command(folder, "promote", "gentle")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    settings = {
        "SCORING_REGISTRY": str(folder / "models"),
        "SCORING_REGISTRY_POLL_SECONDS": "0.1",
        "SCORING_HOST": "127.0.0.1",
        "SCORING_PORT": str(free_port()),
        "SCORING_SHADOW_SHARE": "1",
        "SCORING_API_KEYS": "tests:123321,operator:456789",
        "SCORING_ADMINS": "operator",
    }
    server = Server(folder / "server", {**settings, **WITH_TOY})
    try:
        server.wait_ready()
        yield server
    except BaseException:
        server.stop()
        raise
    server.stop_cleanly()


def _post(server: Server, body: Any) -> httpx.Response:
    with server.client() as client:
        return client.post("/toy/", json=body)


def _serves(server: Server, version: str) -> bool:
    """Whether both workers do, as their metrics show."""
    with server.client(**TOKEN) as client:
        page = client.get("/metrics").raise_for_status().text
    live = re.findall(
        r'^scoring_catalog_live{model="toy",version="(.*)",worker=.*} 1.0$', page, re.MULTILINE
    )
    return bool(live == [version] * 2)


def test_it_is_served_at_its_own_address(server: Server) -> None:
    one = _post(server, {"size": 5})
    assert (one.status_code, one.json()["body"]) == (200, {"positive": 0.5})
    assert one.headers["X-Model-Version"] == "gentle"
    few = _post(server, [{"size": 1}, {"size": "x"}, {"size": 99}]).json()
    assert few["status"] == "partial"
    assert [row.get("positive") for row in few["body"]] == [0.1, None, 1.0]
    many = _post(server, [{"size": number / 1000} for number in range(3000)]).json()["body"]
    assert [row["positive"] for row in many] == [0.1 * (n / 1000) for n in range(3000)]
    refused = _post(server, {"size": "x"})
    assert refused.status_code == 400
    assert "size" in refused.json()["body"]


def test_it_speaks_the_open_inference_protocol_without_a_line_of_its_own(server: Server) -> None:
    tensor = {"name": "size", "shape": [2], "datatype": "FP64", "data": [1, 5]}
    with server.client() as client:
        reply = client.post("/v2/models/toy/infer", json={"inputs": [tensor]}).json()
        assert client.get("/v2/models/toy").json()["platform"] == "plate_scoring_json"
    assert reply["model_version"] == "gentle"
    assert [(one["name"], one["data"]) for one in reply["outputs"]] == [("positive", [0.1, 0.5])]


def test_its_failures_begin_at_0(server: Server) -> None:
    for key in ("tests", "operator"):
        labels = f'key="{key}",method="POST",route="%s",status="%s"'
        for route, status in (("/toy", "500"), ("/toy", "503"), ("/toy/explain", "500")):
            assert value(server, f"scoring_http_requests_total{{{labels % (route, status)}}}") == 0


def test_it_is_guarded_as_every_address_is(server: Server) -> None:
    with server.client(x_api_key="wrong") as client:
        assert client.post("/toy/", json={"size": 1}).status_code == 401
        assert client.get("/toy/").status_code in {401, 405}


def test_the_first_model_is_as_it_was(server: Server) -> None:
    rows = 'scoring_rows_total{result="scored"}'
    before = value(server, rows)
    _post(server, [{"size": 1}] * 10)
    assert value(server, rows) == before
    assert scored(server)[0] == "first"
    with server.client() as client:
        assert client.post("/reg/", content=VALID).status_code in {200, 415}


def test_it_is_in_the_metrics_and_the_document(server: Server) -> None:
    before = {result: value(server, _ROWS % result) for result in ("scored", "refused")}
    _post(server, [{"size": 1}, {"size": 2}, {}])
    assert value(server, _ROWS % "scored") == before["scored"] + 2
    assert value(server, _ROWS % "refused") == before["refused"] + 1
    with server.client() as client:
        document = client.get("/openapi.json").json()
    assert document["paths"]["/toy/"]["post"]["operationId"] == "post_toy"
    assert document["paths"]["/toy/explain"]["post"]["operationId"] == "post_toy_explain"
    names = document["paths"]["/model"]["get"]["parameters"][0]["schema"]
    assert (names["enum"], names["default"]) == (["regno", "toy"], "regno")
    assert document["components"]["schemas"]["ToySize"]["required"] == ["size"]


def test_it_has_a_shadow_and_is_swapped_by_the_registry(folder: Path, server: Server) -> None:
    compared = 'scoring_catalog_shadow_rows_total{model="toy",result="scored"}'
    toy_command(folder, "shadow", "steep")

    def shadowed() -> bool:
        _post(server, {"size": 1})
        return value(server, compared) > 0

    eventually(shadowed, "the shadow scores")
    toy_command(folder, "promote", "steep")
    eventually(lambda: _serves(server, "steep"), "all serve steep")
    reply = _post(server, {"size": 1})
    assert (reply.json()["body"]["positive"], reply.headers["X-Model-Version"]) == (0.2, "steep")
    toy_command(folder, "rollback")
    eventually(lambda: _serves(server, "gentle"), "all serve gentle")
    assert "gentle" in toy_command(folder, "list")


def test_its_scores_are_explained(server: Server) -> None:
    with server.client() as client:
        reply = client.post("/toy/explain", json=[{"size": 5}, {}]).json()
        assert client.get("/toy/explain").status_code == 405
        page = client.get("/metrics", headers=TOKEN).text
        assert 'method="GET",route="/toy/explain",status="405"' in page
        assert client.post("/reg/explain", json={"size": 5}).status_code == 400
    assert reply["status"] == "partial"
    assert reply["body"][0] == {"positive": 0.5, "text": "0.1 for each unit of size"}
    assert list(reply["body"][1]) == ["error"]


def test_operators_see_and_change_it_by_name(server: Server) -> None:
    with server.client(x_api_key="456789") as client:
        state = client.get("/model", params={"name": "toy"}).json()["body"]
        assert (state["version"], state["thresholds"], state["classes"]) == ("gentle", {}, [])
        assert state["registry"] == client.get("/model").json()["body"]["registry"]
        named = {"name": "toy"}
        stored = client.get("/model/versions", params=named).json()["body"]["versions"]
        assert [one["version"] for one in stored] == ["gentle", "steep"]
        moved = client.post("/model/promote", json={"version": "steep"}, params=named)
        assert moved.json()["body"]["aliases"]["live"] == "steep"
        eventually(lambda: _serves(server, "steep"), "all serve steep")
        assert client.get("/model").json()["body"]["version"] == "first"
        assert client.post("/model/rollback", params=named).status_code == 200
        eventually(lambda: _serves(server, "gentle"), "all serve gentle")
        unknown = client.get("/model", params={"name": "tyo"})
        assert unknown.status_code == 400
        assert unknown.json()["body"].endswith("regno, toy")


def test_the_edge_passes_its_address_on(folder: Path) -> None:
    path = folder / "nginx.conf"
    made = run_module(folder, "service.edge", "--output", path, settings=WITH_TOY, cwd=ROOT)
    assert made.returncode == 0, made.stderr
    config = path.read_text()
    for address in ("reg", "toy"):
        assert f"location ~ ^/{address}(/|$) {{" in config
        assert f"location ~ ^/{address}/explain/?$ {{" in config


def test_the_doctor_checks_its_live_version(folder: Path) -> None:
    settings = {**WITH_TOY, "SCORING_REGISTRY": str(folder / "models")}
    done = run_module(folder, "service.doctor", "--json", settings=settings, cwd=ROOT)
    report = Report(done.returncode, done.stdout, done.stderr)
    assert report["model toy"]["description"].startswith("gentle")
    assert report["registry toy"]["description"].startswith("gentle is live")
    assert report.level("model file toy") == "ok"


def test_a_version_that_it_refuses_is_not_added(folder: Path) -> None:
    (folder / "bad.json").write_text('{"slope": -1}')
    arguments = ("add", folder / "bad.json", "--models", folder / "models", "--name", "toy")
    assert "below 0" in command(folder, *arguments, expect=1, settings=WITH_TOY).stderr


def test_a_file_of_its_requests_is_scored(folder: Path) -> None:
    (folder / "in.csv").write_text("size,note\n5,a\nx,b\n2,c\n")
    file = folder / "models" / "toy" / "gentle" / "model.json"
    arguments = (folder / "in.csv", folder / "out.csv", "--name", "toy", "--model", file)
    one = ("--processes", "1")
    done = run_module(folder, "model.score", *arguments, *one, settings=WITH_TOY, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    with (folder / "out.csv").open(newline="") as out:
        header, *rows = csv.reader(out)
    assert header == ["size", "note", "positive", "error"]
    assert [row[2] for row in rows] == ["0.5", "", "0.2"]
    assert "size" in rows[1][3]
