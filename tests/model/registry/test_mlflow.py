"""MLflow: trainings are logged as runs, and the registry takes models, with a real server."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import environment_variables
from mlflow.models import Model

from loadgen.common.processes import environment, free_port
from model import mlflow_client
from model.registry import open_registry
from model.registry.__main__ import main
from model.registry.mlflow_source import source_of
from tests.support import toys
from tests.support.labelled import labelled, report, run, scores, write
from tests.support.messages import mentions
from tests.support.mlflow_server import mlflow_server

# Of the client itself, when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*inferred as AnyType:UserWarning")

ROWS = labelled()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the server, which the commands get by the environment, too."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    mlflow.set_tracking_uri(server)
    return mlflow.MlflowClient(server)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with rows."""
    write(tmp_path / "rows.csv", ROWS)
    return tmp_path


def _add(folder: Path, *arguments: object) -> int:
    return main(["add", *map(str, arguments), "--models", str(folder / "models")])


def _manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_bytes())


@pytest.mark.slow
def test_a_training_is_a_run_and_its_model_a_version(
    folder: Path, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--learning-curve", 2) == 0
    made = report(folder / "out")
    (logged,) = client.search_runs(["0"])
    assert f"run {logged.info.run_id} of " in capsys.readouterr().out
    assert logged.info.status == "FINISHED"
    assert logged.data.params["catboost.depth"] == "3"
    assert logged.data.params["data_sha256"] == made["data"]["sha256"]
    for name in ("auc", "brier", "log_loss"):
        assert logged.data.metrics[name] == pytest.approx(made["model"][name])
    curve = client.get_metric_history(logged.info.run_id, "learning_curve_auc")
    assert [(at.step, at.value) for at in curve] == [
        (point["rows"], pytest.approx(point["metrics"]["auc"]["value"]))
        for point in made["learning_curve"]["points"]
    ]
    assert logged.data.tags["version"] == made["version"]
    # The remote's address may hold a password.
    assert logged.data.tags["mlflow.source.git.repoURL"] == ""
    artifacts = {artifact.path for artifact in client.list_artifacts(logged.info.run_id)}
    assert artifacts >= {"REPORT.md", "report.json", "regno.cbm", "manifest.json", "model"}
    uri = f"runs:/{logged.info.run_id}/model"
    capsys.readouterr()
    assert _add(folder, f"mlflow:{uri}") == 0
    said = f"MLflow: {mlflow.get_tracking_uri()} (without a reply: up to a minute)\n"
    assert capsys.readouterr().err == said
    registered = mlflow.register_model(uri, "regno")
    assert _add(folder, f"mlflow:models:/regno/{registered.version}", "--version", "other") == 0
    registry = open_registry(folder / "models")
    assert {entry.version for entry in registry.versions()} == {made["version"], "other"}
    loaded = mlflow.catboost.load_model(uri)
    assert loaded.feature_names_ == [of["name"] for of in _manifest(folder / "out")["features"]]
    for version in (made["version"], "other"):
        path = registry.fetch(version)
        assert path.read_bytes() == (folder / "out/regno.cbm").read_bytes()
        assert scores(path, ROWS[:20]) == scores(folder / "out/regno.cbm", ROWS[:20])
        assert _manifest(path.parent)["reference"]
    server = client.tracking_uri
    assert registry.manifest(made["version"]).source == f"mlflow:{uri} on {server}"
    assert registry.manifest("other").source == f"mlflow:models:/regno/1 on {server}"
    capsys.readouterr()
    assert main(["show", "other", "--models", str(folder / "models")]) == 0
    (shown,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("source ")]
    assert shown.split(maxsplit=1)[1] == f"mlflow:models:/regno/1 on {server}"


@pytest.mark.slow
def test_a_training_that_fails_is_a_failed_run(folder: Path, client: Any) -> None:
    write(folder / "rows.csv", [{**row, "label": 1} for row in ROWS])
    assert run(folder) == 65
    assert client.search_runs(["0"])[0].info.status == "FAILED"


@pytest.mark.slow
def test_a_model_that_was_logged_by_others_is_added_like_a_bare_file(
    folder: Path, client: Any
) -> None:
    del client
    model = toys.classifier("0", "1")
    with mlflow.start_run():
        logged = mlflow.catboost.log_model(model, name="theirs", pip_requirements=["catboost"])
    assert _add(folder, f"mlflow:{logged.model_uri}", "--version", "theirs") == 0
    registry = open_registry(folder / "models")
    assert registry.manifest("theirs").classes == ["0", "1"]
    assert registry.verify() == []


@pytest.mark.slow
def test_what_is_no_catboost_model_is_refused(
    folder: Path, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    del client
    other = Model()
    other.add_flavor("sklearn", pickled_model="model.pkl")
    (folder / "other").mkdir()
    other.save(str(folder / "other/MLmodel"))
    with mlflow.start_run() as started:
        mlflow.log_artifacts(str(folder / "other"), "other")
    assert _add(folder, f"mlflow:runs:/{started.info.run_id}/other") == 1
    assert mentions(capsys.readouterr().err, "no CatBoost flavour", "sklearn")
    assert _add(folder, "mlflow:models:/none/1") == 1
    assert "models:/none/1" in capsys.readouterr().err
    assert not (folder / "models").exists()


@pytest.mark.slow
def test_a_server_that_is_gone_stops_the_training_before_it_begins(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert run(folder) == 69
    assert "MLFLOW_TRACKING_URI: " in capsys.readouterr().err
    assert not (folder / "out").exists()
    assert _add(folder, "mlflow:models:/regno/1") == 69


@pytest.mark.slow
def test_a_server_that_does_not_reply_is_named_and_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:pw@{address}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setattr("signal.signal", lambda *_: None)
        assert run(folder) == 69
        shown = capsys.readouterr().err
        assert shown.startswith(f"MLflow: http://{address} (without a reply: up to a minute)\n")
        assert "pw@" not in shown
        assert _add(folder, "mlflow:models:/regno/1") == 69


def test_a_request_waits_no_longer_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    mlflow_client.client()
    seconds, retries = (getattr(environment_variables, name).get() for name in names)
    assert seconds * (1 + retries) < 60


def test_a_prefix_without_a_model_is_refused_with_its_form(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _add(folder, "mlflow:") == 1
    assert "mlflow: names no model: write mlflow:models:/NAME/VERSION" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("uri", "server", "source"),
    [
        ("models:/regno@best", "", "mlflow:models:/regno@best"),
        ("models:/regno/3", "sqlite:///runs.db", "mlflow:models:/regno/3"),
        ("models:/regno/3", "https://me:pw@h:5000/", "mlflow:models:/regno/3 on https://h:5000/"),
        ("https://me:pw@host/regno?sig=pw#pw", "http://h", "mlflow:https://host/regno on http://h"),
    ],
)
def test_a_source_has_no_credentials(uri: str, server: str, source: str) -> None:
    assert source_of(uri, server) == source


def test_without_a_server_nothing_is_looked_for_or_made(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "model.registry", "add", "mlflow:models:/regno/3")
    unset = {name: value for name, value in environment().items() if name != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env=unset, capture_output=True, text=True
    )
    assert done.returncode == 69
    assert mentions(done.stderr, "models:/regno/3", "MLFLOW_TRACKING_URI is not set")
    assert list(tmp_path.iterdir()) == []


def test_without_the_client_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(mlflow_client, "import_module", missing)
    assert run(folder) == 69
    assert _add(folder, "mlflow:models:/regno/1") == 69
    assert capsys.readouterr().err.count("install the extra `mlflow`") == 2
