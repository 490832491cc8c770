"""The real server with models and manifests of all kinds: they are served correctly, or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from catboost import CatBoostClassifier, Pool

from model.regno import BUNDLED
from model.regno.golden import example
from tests.support import toys
from tests.support.messages import mentions, states
from tests.support.metrics import value
from tests.support.paths import GOLDEN, lines
from tests.support.registry import command
from tests.support.server import Server, refused, serving
from tests.support.swapping import following, shown

pytestmark = pytest.mark.slow

_ROWS = [line["request"] for line in lines(GOLDEN)[:40]]


def _turned(folder: Path) -> Path:
    """A model that has class 1 first, as class weights by name make it."""
    x, y = [[i / 100] for i in range(100)], [int(i >= 50) for i in range(100)]
    model = CatBoostClassifier(
        iterations=20, verbose=False, allow_writing_files=False, class_weights={1: 3.0, 0: 1.0}
    ).fit(Pool(x, y, feature_names=["afts_regno_ai_score"]))
    return toys.save(model, folder)


def _post(server: Server, path: str, body: object) -> Any:
    with server.client() as client:
        return client.post(path, json=body).raise_for_status().json()["body"]


def test_a_model_with_its_classes_turned_round_is_served_the_right_way_round(
    tmp_path: Path,
) -> None:
    sure, unsure = ({**_ROWS[0], "afts_regno_ai_score": score} for score in (0.99, 0.01))
    with serving(tmp_path / "server", model=str(_turned(tmp_path)), workers="1") as server:
        for row, positive, decision in ((sure, 0.8831, "network"), (unsure, 0.1826, "camera")):
            detail = _post(server, "/reg/?detail=1", row)
            assert detail["positive"] == pytest.approx(positive, abs=1e-4)
            assert detail["negative"] == pytest.approx(1 - positive, abs=1e-4)
            assert detail["decision"] == decision
        explained = _post(server, "/reg/explain", [sure, unsure])
        assert [row["features"][0]["pushes"] for row in explained] == ["network", "camera"]
        one, few = [_post(server, "/reg/", row) for row in _ROWS], _post(server, "/reg/", _ROWS)
        assert one == few == _post(server, "/reg/", _ROWS * 15)[-len(_ROWS) :]


def test_a_registry_serves_the_class_that_was_named(tmp_path: Path) -> None:
    path = toys.save(toys.classifier("a", "b", class_names=["b", "a"]), tmp_path)
    models = ("--models", tmp_path / "models")
    command(tmp_path, "add", path, "--version", "v1", "--positive-class", "b", *models)
    command(tmp_path, "promote", "v1", *models)
    with following(tmp_path) as server:
        state = shown(server)
        assert (state["classes"], state["positive_class"]) == (["b", "a"], "b")
        sure = [score["positive"] > 0.5 for score in _post(server, "/reg/", _ROWS)]
        log = server.output()
    assert mentions(log, f"SCORING_REGISTRY: {tmp_path / 'models'}", "class b of b and a")
    assert sure == [row["afts_regno_ai_score"] > 0.5 for row in _ROWS]


def test_a_model_that_cant_be_explained_scores_and_says_so_without_an_error(
    tmp_path: Path,
) -> None:
    path = toys.save(toys.classifier(0, 1, grow_policy="Depthwise"), tmp_path)
    settings = {"model": str(path), "workers": "1", "admins": "example"}
    with serving(tmp_path / "server", **settings) as server, server.client() as client:
        assert client.post("/reg/", json=_ROWS[0]).status_code == 200
        for _ in range(3):
            reply = client.post("/reg/explain", json=_ROWS[0])
            assert reply.status_code == 501
            assert mentions(reply.json()["body"], "can't be explained", "contributions")
        assert mentions(client.get("/model").json()["body"]["unexplained"], "contributions")
        counted = 'scoring_http_requests_total{key="example",method="POST",route="/reg/explain"'
        assert value(server, f'{counted},status="501"}}') == 3
        (worker,) = server.workers()
        assert worker.children() == []
    own = [line for line in server.log() if line["logger"] != "access"]
    assert [line for line in own if line["level"] in ("warning", "error")] == []


def _with_manifest(folder: Path, **changed: object) -> Path:
    """The bundled model and its manifest with changes."""
    (folder / BUNDLED.name).symlink_to(BUNDLED)
    manifest = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changed}))
    return folder / BUNDLED.name


_TEXT = {"name": "regno_recognize_text", "bounds": [1.0], "shares": [0.1, 0.9], "importance": 0}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"version": "модель-осень"}, "version"),
        ({"version": "v1\r\nX-Evil: 1\r\n\r\n<b>"}, "version"),
        ({"version": "v" * 70_000}, "version"),
        ({"reference": [_TEXT]}, "reference: regno_recognize_text"),
        ({"reference": [{**_TEXT, "name": "hour", "shares": [1.0]}]}, "reference: hour"),
        ({"positive_class": "0"}, "positive_class"),
        ({"classes": ["1", "0"]}, "classes"),
    ],
)
def test_a_manifest_that_is_wrong_ends_the_start_with_78_and_its_field(
    changed: dict[str, Any], field: str, tmp_path: Path
) -> None:
    path = _with_manifest(tmp_path, **changed)
    (tmp_path / "run").mkdir()
    ran = refused(tmp_path / "run", model=str(path))
    assert ran.returncode == 78
    assert states(ran.stderr, f"Not started. SCORING_MODEL: {path} ", field)
    assert ran.stderr.rstrip("\n").isprintable()
    assert len(ran.stderr) < 1000


def test_a_manifest_nested_beyond_reading_ends_the_start_with_78(tmp_path: Path) -> None:
    path = _with_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"a": ' + "[" * 100_000)
    (tmp_path / "run").mkdir()
    ran = refused(tmp_path / "run", model=str(path))
    assert ran.returncode == 78
    place = tmp_path / "manifest.json"
    assert mentions(ran.stderr, f"manifest {place} can't be read", "nested")


def test_an_older_manifest_is_served_as_before(tmp_path: Path) -> None:
    path = _with_manifest(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    for field in ("classes", "positive_class", "unexplained"):
        del manifest[field]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    settings = {"model": str(path), "workers": "1", "admins": "example"}
    with serving(tmp_path / "server", **settings) as server:
        state = shown(server)
        assert (state["positive_class"], state["unexplained"]) == ("1", "")
        assert _post(server, "/reg/", example())["positive"] == manifest["golden"][0]
