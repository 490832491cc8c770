"""`python -m model.train --models --add`: compared with the live model, then registered."""

import json
from pathlib import Path

import msgspec
import pytest

from model.registry import Aliases, Files, Registry, open_registry
from model.registry.file_store import FileStore
from model.regno import BUNDLED
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import Manifest
from tests.support.labelled import labelled, report, run, scores, write
from tests.support.messages import mentions
from tests.support.moto import BUCKET, moto
from tests.support.registry import command, no_check

ROWS = labelled()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with rows."""
    write(tmp_path / "rows.csv", ROWS)
    return tmp_path


@pytest.fixture
def served(folder: Path) -> Registry:
    """A registry in `models` of that folder, with the bundled model live."""
    manifest = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    registry = Registry(FileStore(folder / "models/regno", "model.cbm"), no_check)
    registry.add(
        Files(BUNDLED.read_bytes(), json.dumps({**manifest, "file": "model.cbm"}).encode())
    )
    registry.promote(manifest["version"], who="tests")
    return registry


def _versions(registry: Registry) -> list[str]:
    return [entry.version for entry in registry.versions()]


@pytest.mark.slow
def test_the_new_model_is_a_candidate_that_is_not_served(
    folder: Path, served: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    before = served.aliases()
    assert run(folder, "--models", folder / "models", "--add") == 0
    made = report(folder / "out")
    assert _versions(served) == [before.live, made["version"]]
    assert served.aliases() == before
    assert open_registry(folder / "models").verify() == []
    path = served.fetch(made["version"])
    assert path.read_bytes() == (folder / "out/regno.cbm").read_bytes()
    assert scores(path, ROWS) == scores(folder / "out/regno.cbm", ROWS)
    output = capsys.readouterr().out
    assert mentions(output, made["version"], "candidate", served.where)
    assert f"report: {folder / 'out/report.html'}" in output
    promote = f"promote {made['version']} --models {folder / 'models'}"
    assert f"python -m model.registry {promote}\n" in output
    # Of so few rows it has learnt to decide otherwise, which somebody has to want.
    refused = command(folder, *promote.split(), expect=1)
    assert "are decided differently" in refused.stderr
    command(folder, *promote.split(), "--force")
    assert served.aliases().live == made["version"]


def test_the_whole_manifest_is_registered(folder: Path, served: Registry) -> None:
    assert run(folder, "--models", folder / "models", "--add") == 0
    ours, stored = (
        msgspec.json.decode(path.read_bytes(), type=Manifest)
        for path in (
            folder / "out/manifest.json",
            served.fetch(report(folder / "out")["version"]).with_name("manifest.json"),
        )
    )
    assert (ours.file, stored.file) == ("regno.cbm", "model.cbm")
    assert msgspec.structs.replace(ours, file="model.cbm") == stored
    assert stored.borders == BinaryModel.load(folder / "out/regno.cbm").borders() != {}
    assert stored.reference
    assert stored.vocabularies["month"] == ["March"]
    result = report(folder / "out")
    assert stored.metrics["against"] == result["against"]
    assert stored.metrics["against"]["version"] == served.aliases().live
    assert stored.metrics["warnings"] == result["warnings"] != []


def test_the_live_model_is_compared_with(folder: Path, served: Registry) -> None:
    assert run(folder, "--models", folder / "models") == 0
    assert report(folder / "out")["against"]["version"] == served.aliases().live
    assert _versions(served) == [served.aliases().live]


def test_a_model_that_is_named_is_compared_with_instead(folder: Path, served: Registry) -> None:
    assert run(folder, out="first") == 0
    other = folder / "first/regno.cbm"
    assert run(folder, "--models", folder / "models", "--against", other) == 0
    version = report(folder / "out")["against"]["version"]
    assert version == report(folder / "first")["version"] != served.aliases().live


def test_where_nothing_is_live_there_is_no_comparison(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ("--models", folder / "trials", "--name", "regno")
    assert run(folder, *models, "--add") == 0
    assert mentions(capsys.readouterr().err, "trials/regno ", "no live version")
    assert report(folder / "out")["against"] is None
    registry = open_registry(folder / "trials")
    assert _versions(registry) == [report(folder / "out")["version"]]
    assert registry.aliases() == Aliases()
    manifest = registry.fetch(_versions(registry)[0]).with_name("manifest.json")
    assert msgspec.json.decode(manifest.read_bytes(), type=Manifest).name == "regno"


def test_without_a_folder_named_it_is_named_by_the_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from model import train

    monkeypatch.chdir(folder)
    (folder / "tiny.toml").write_text("[catboost]\niterations = 3\n", encoding="utf-8")
    options = "--data rows.csv --parameters tiny.toml --models my models --add"
    arguments = options.replace("my models", "my~models").split()
    assert train.main([a.replace("~", " ") for a in arguments]) == 0
    (version,) = _versions(open_registry("my models"))
    assert report(folder / version)["version"] == version
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [version, "my models", "rows.csv", "tiny.toml"]
    )
    assert "--models 'my models'\n" in capsys.readouterr().out


@pytest.mark.slow
def test_a_registry_that_does_not_take_it_costs_no_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "models").mkdir()
    (folder / "models/regno").write_text("no folder", encoding="utf-8")
    # Nothing is read of it when another model is compared with.
    options = ("--models", folder / "models", "--against", BUNDLED, "--add")
    assert run(folder, *options) == 69
    output = capsys.readouterr().err
    model = folder / "out/regno.cbm"
    assert f"python -m model.registry add {model} --models {folder / 'models'}" in output
    assert "Traceback" not in output
    (folder / "models/regno").unlink()
    command(folder, "add", model, "--models", folder / "models")


def test_a_registry_that_can_not_be_read_stops_the_run_before_it_trains(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "models").mkdir()
    (folder / "models/regno").write_text("no folder", encoding="utf-8")
    assert run(folder, "--models", folder / "models", "--add") == 69
    assert "models/regno" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_damaged_live_version_stops_the_run(
    folder: Path, served: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    model = served.fetch(served.aliases().live)
    model.write_bytes(model.read_bytes()[:-1])
    assert run(folder, "--models", folder / "models") == 65
    assert mentions(capsys.readouterr().err, "SHA-256")
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (("--models", "http://models"), ("http://models", "folder", "s3://bucket/prefix")),
        (("--models", "models", "--name", "../x"), ("model '../x'", "name")),
        (("--models", "models", "--name", "trial"), ("no model 'trial'", "regno")),
    ],
)
def test_no_registry(
    folder: Path,
    options: tuple[str, ...],
    facts: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(folder, *options) == 2
    assert mentions(capsys.readouterr().err, *facts)


@pytest.mark.slow
def test_a_bucket_is_a_registry_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with moto(folder) as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        options = ("--models", f"s3://{BUCKET}/models", "--cache", folder / "cache", "--add")
        assert run(folder, *options, out="first") == 0
        registry = open_registry(f"s3://{BUCKET}/models", "regno", folder / "other")
        first = report(folder / "first")["version"]
        registry.promote(first, who="tests")
        assert run(folder, *options, "--seed", "2", out="second") == 0
        second = report(folder / "second")
        assert second["against"]["version"] == first
        assert _versions(registry) == [first, second["version"]]
        assert registry.aliases().live == first
    assert run(folder, *options, out="third") == 69
    assert f"s3://{BUCKET}/models/regno: " in capsys.readouterr().err
