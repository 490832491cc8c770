"""What is kept with a version, and its removal: training reports, `show`, `export`, `remove`."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from model.registry import Aliases, Damaged, Files, Refused, Registry
from model.registry import ingest as ingest_module
from model.registry.file_store import FileStore
from model.registry.ingest import ingest
from model.registry.s3_store import S3Store
from model.regno import BUNDLED
from tests.support.messages import mentions, stating
from tests.support.moto import BUCKET, Moto, moto
from tests.support.registry import Run, files, no_check, runner

REPORT = {"REPORT.md": b"# Good", "report.json": b"{}", "reliability.png": b"\x89PNG"}


def with_report(version: str, report: dict[str, bytes]) -> Files:
    digests = {name: sha256(content).hexdigest() for name, content in report.items()}
    return files(version, report=digests)._replace(report=report)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """One S3 server for all tests."""
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(params=["files", "s3"])
def registry(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """An empty one, in a folder and in S3."""
    if request.param == "files":
        return Registry(FileStore(tmp_path / "models/regno", "model.cbm"), no_check)
    moto_server: Moto = request.getfixturevalue("server")
    for name, value in moto_server.settings.items():
        monkeypatch.setenv(name, value)
    prefix = f"{BUCKET}/versions/{request.node.name}"
    return Registry(S3Store(prefix, "regno", tmp_path / "cache", "model.cbm"), no_check)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, on the registry in `models`."""
    return runner(tmp_path / "models", monkeypatch, capsys)


def _names(registry: Registry) -> list[str]:
    return [entry.version for entry in registry.versions()]


def test_a_report_is_kept_whole_and_a_version_without_one_is_valid(registry: Registry) -> None:
    assert registry.add(with_report("v1", REPORT)) is True
    assert registry.add(files("v2")) is True
    assert registry.report("v1") == REPORT
    assert registry.report("v2") == {}
    assert registry.fetch("v1").read_bytes() == b"model"
    assert registry.verify() == []
    with pytest.raises(Refused, match=stating("no version", "v9")):
        registry.report("v9")


def test_a_damaged_report_is_a_fault_and_the_model_can_still_be_served(tmp_path: Path) -> None:
    registry = Registry(FileStore(tmp_path, "model.cbm"), no_check)
    registry.add(with_report("v1", REPORT))
    registry.add(with_report("v2", REPORT))
    (tmp_path / "v1/report/REPORT.md").write_bytes(b"# Better")
    (tmp_path / "v2/report/report.json").unlink()
    changed, missing = registry.verify()
    assert (changed.what, missing.what) == ("v1", "v2")
    assert mentions(changed.reason, "report/REPORT.md", "manifest.json", "SHA-256")
    assert mentions(missing.reason, "no report/report.json")
    assert registry.fetch("v1").read_bytes() == b"model"


def test_a_manifest_can_not_name_files_outside_of_the_report(tmp_path: Path) -> None:
    registry = Registry(FileStore(tmp_path, "model.cbm"), no_check)
    registry.add(files("v1", report={"../../aliases.json": "0"}))
    with pytest.raises(Damaged, match="can be none"):
        registry.report("v1")


def test_an_alias_version_is_not_removed_and_a_removed_name_is_not_used_again(
    registry: Registry,
) -> None:
    for version in ("v1", "v2", "v3", "v4"):
        registry.add(with_report(version, REPORT))
    registry.promote("v1", who="a")
    registry.promote("v2", who="a")
    registry.shadow("v3", who="a")
    before = registry.aliases()
    for version, alias in (("v1", "previous"), ("v2", "live"), ("v3", "shadow")):
        with pytest.raises(Refused, match=f"{version} is {alias}"):
            registry.remove(version, who="b")
    with pytest.raises(Refused, match=stating("no version", "v9")):
        registry.remove("v9", who="b")
    with pytest.raises(Refused, match="live is an alias, of v"):
        registry.remove("live", who="b")
    registry.remove("v4", who="b", note="a trial")
    assert _names(registry) == ["v1", "v2", "v3"]
    assert registry.aliases() == before == Aliases("v2", "v3", "v1", 3)
    change = registry.history()[-1]
    assert (change.what, change.who, change.note) == ("remove v4", "b", "a trial")
    with pytest.raises(Refused, match="v4 was removed"):
        registry.add(files("v4"))
    with pytest.raises(Refused, match=stating("no version", "v4")):
        registry.promote("v4", who="a")
    assert registry.verify() == []


def test_a_removal_that_is_cut_off_gives_no_alias_and_is_done_again(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(files("v1"))
    store = registry._store

    def cut_off(_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove", cut_off)
        with pytest.raises(KeyboardInterrupt):
            registry.remove("v1", who="a")
    for act in (registry.promote, registry.shadow):
        with pytest.raises(Refused, match=stating("no version", "v1")):
            act("v1", who="a", force=True)
    assert [fault.what for fault in registry.verify()] == ["v1"]
    registry.remove("v1", who="a")
    assert registry.verify() == []
    assert [change.what for change in registry.history()] == ["remove v1"]


def test_what_becomes_live_during_a_removal_stays(registry: Registry) -> None:
    """Somebody promotes the version after the removal has looked, and before it writes."""
    registry.add(files("v1"))
    store = registry._store
    read, looks = store.read, 0

    def reading() -> Any:
        nonlocal looks
        looks += 1
        state = read()
        if looks == 1:
            registry.promote("v1", who="somebody else")
        return state

    store.read = reading  # type: ignore[method-assign]
    with pytest.raises(Refused, match="v1 is live"):
        registry.remove("v1", who="a")
    assert registry.fetch("v1").read_bytes() == b"model"


def test_what_is_removed_during_a_promotion_does_not_become_live(registry: Registry) -> None:
    registry.add(files("v1"))

    def removing(_: Path) -> None:
        registry.remove("v1", who="somebody else")

    promoting = Registry(registry._store, removing)
    with pytest.raises(Refused, match=stating("no version", "v1")):
        promoting.promote("v1", who="a", force=True)
    assert registry.aliases() == Aliases()


def _trained(folder: Path, digest: str) -> Path:
    """The bundled model as a training leaves one, with a report on a model of this SHA-256."""
    folder.mkdir()
    (folder / "regno.cbm").write_bytes(BUNDLED.read_bytes())
    (folder / "manifest.json").write_bytes(BUNDLED.with_name("manifest.json").read_bytes())
    (folder / "report.json").write_text(json.dumps({"sha256": digest}))
    (folder / "REPORT.md").write_bytes(b"# Good")
    (folder / "shap.png").write_bytes(b"\x89PNG")
    (folder / "rows.csv").write_bytes(b"no part of it")
    return folder / "regno.cbm"


DIGEST = sha256(BUNDLED.read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_version_goes_out_with_its_report_and_comes_in_again(run: Run, tmp_path: Path) -> None:
    path = _trained(tmp_path / "out", DIGEST)
    assert run("add", path, "--version", "v1")[0] == 0
    place = tmp_path / "exports" / "v1"
    status, output, _ = run("export", "v1", place, "--json")
    assert status == 0
    names = ["REPORT.md", "manifest.json", "model.cbm", "report.json", "shap.png"]
    assert json.loads(output)["files"] == names
    assert sorted(file.name for file in place.iterdir()) == names
    assert (place / "model.cbm").read_bytes() == BUNDLED.read_bytes()
    assert [file.name for file in place.parent.iterdir()] == ["v1"]
    assert run("export", "v1", place)[0] == 73
    assert run("export", "none", tmp_path / "none")[0] == 1
    assert run("add", place / "model.cbm", "--version", "v2")[0] == 0
    versions = json.loads(run("list", "--json")[1])["versions"]
    assert [version["report"] for version in versions] == [
        ["REPORT.md", "report.json", "shap.png"]
    ] * 2
    shown = run("show", "v1")[1]
    assert "report REPORT.md, report.json, shap.png" in " ".join(shown.split())
    whole = json.loads(run("show", "v1", "--json")[1])
    assert whole["metrics"]["model"]["auc"] == whole["auc"] == versions[0]["auc"]
    assert f"{whole['auc']:.4f}" in shown
    assert run("show", "none")[0] == 1
    assert run("promote", "v1")[0] == 0
    assert run("show", "live")[1] == run("show", "v1")[1]
    assert json.loads(run("export", "live", tmp_path / "live", "--json")[1])["version"] == "v1"
    assert run("show", "previous")[0] == 1
    assert run("remove", "v2", "--note", "twice")[0] == 0
    assert [v["version"] for v in json.loads(run("list", "--json")[1])["versions"]] == ["v1"]


@pytest.mark.slow
def test_where_a_model_came_from_is_kept_on_its_way_out_and_in(run: Run, tmp_path: Path) -> None:
    path = _trained(tmp_path / "out", DIGEST)
    manifest = json.loads(path.with_name("manifest.json").read_bytes())
    source = "mlflow:models:/regno/3 on http://mlflow:5000"
    path.with_name("manifest.json").write_text(json.dumps({**manifest, "source": source}))
    assert run("add", path, "--version", "v1")[0] == 0
    assert run("export", "v1", tmp_path / "exported")[0] == 0
    assert run("add", tmp_path / "exported" / "model.cbm", "--version", "v2")[0] == 0
    for version in ("v1", "v2"):
        assert json.loads(run("show", version, "--json")[1])["source"] == source


def test_another_models_report_is_not_taken(tmp_path: Path) -> None:
    path = _trained(tmp_path / "out", "0" * 64)
    assert ingest(path, "regno").report == {}


def test_a_report_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _trained(tmp_path / "out", DIGEST)
    monkeypatch.setattr(ingest_module, "_LARGEST_REPORT", 50)
    with pytest.raises(Refused, match="at most 50"):
        ingest(path, "regno")
