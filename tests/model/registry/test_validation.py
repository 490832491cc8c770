"""A file that would end, fill or hang the process that loads it is refused by every command."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import msgspec
import pytest

from model import ModelRefused, files, score
from model.registry import (
    Validated,
    ValidationProcess,
    check_model,
    open_registry,
    validate,
    validation,
)
from model.regno import BUNDLED, pick_regno
from tests.support import toys
from tests.support.commands import environment
from tests.support.faulty import (
    CRASHED,
    CRASHING,
    as_version,
    repickled,
    with_a_deep_manifest,
    with_a_manifest_of,
)
from tests.support.labelled import labelled, run, write
from tests.support.messages import mentions
from tests.support.paths import ROOT
from tests.support.registry import command, no_check
from tests.support.tables import as_csv, samples

_READING = ("А939НО196", "А939НО190", 6.4, 0.9, [0.9], [0.0], "", "", "2021-08-01", 0)


@pytest.fixture(params=CRASHING)
def crashing(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file on which CatBoost crashes."""
    (tmp_path / "given").mkdir()
    return CRASHING[request.param](tmp_path / "given")


def _refusal(path: Path) -> str:
    with pytest.raises(ModelRefused) as caught:
        validate(path)
    return str(caught.value)


def test_a_crash_is_a_refusal_and_leaves_nothing_behind(
    crashing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert _refusal(crashing) == CRASHED
    assert list((tmp_path / "temporary").iterdir()) == []
    with pytest.raises(ModelRefused) as caught:
        check_model(crashing)
    assert str(caught.value) == f"{crashing} is refused: {CRASHED}"


_LESS_MEMORY = """
import sys
from model.registry import validation_process
validation_process._MEMORY = 48 << 20
validation_process.main(*sys.argv[1:])
"""


def test_a_file_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    """A manifest of 4 MiB, twenty times as large in memory, in a process that may have less."""
    path = with_a_manifest_of(1_300_000, tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", _LESS_MEMORY, tmp_path, "regno", path],
        cwd=ROOT,
        env=environment(tmp_path, {}),
        capture_output=True,
        check=True,
    )
    validated = msgspec.json.decode(ran.stdout, type=Validated)
    assert mentions(validated.refused, "48 MiB", "memory")


def test_a_manifest_that_is_nested_too_deep_is_named(tmp_path: Path) -> None:
    path = with_a_deep_manifest(tmp_path)
    manifest = path.with_name("manifest.json")
    assert mentions(_refusal(path), f"manifest {manifest} can't be read", "nested")


def test_a_file_that_takes_too_long_to_load_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_PATIENCE", 0.01)
    started = ValidationProcess(BUNDLED)
    assert mentions(started.outcome().refused, "not loaded", "0.01 s")
    assert started._process
    assert started._process.returncode == -9


@pytest.mark.parametrize("place", ["model", "manifest"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "hole"])
def test_what_might_never_end_is_not_read(kind: str, place: str, tmp_path: Path) -> None:
    model, manifest = tmp_path / "m.cbm", tmp_path / "manifest.json"
    path, name = (model, "") if place == "model" else (manifest, f"manifest {manifest} ")
    model.touch()
    path.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "hole":
            path.touch()
            os.truncate(path, 1 << 40)
    reasons = {
        "pipe": "not a regular file",
        "device": "not a regular file",
        "folder": "Is a directory",
        "hole": f"{268435456 if place == 'model' else 4194304} bytes",
    }
    assert mentions(_refusal(model), f"{name}can't be read", reasons[kind])


def test_a_failed_start_of_a_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/none")
    refused = ValidationProcess(BUNDLED).outcome().refused
    assert mentions(refused, "can't be validated", "No such file or directory")


def test_a_crash_leaves_no_core_and_the_validator_is_the_first_to_go(tmp_path: Path) -> None:
    """Its limits are those of the process that loads, not of the one that waits."""
    script = (
        "import os, resource, sys; from pathlib import Path\n"
        "from model.registry import validation_process\n"
        "validation_process._give_way(); validation_process._limit()\n"
        "print(Path('/proc/self/oom_score_adj').read_text().strip(), os.nice(0))\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_CPU))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(tmp_path, {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines() == [f"1000 {min(10 + os.nice(0), 19)}", "(0, 0) (600, 600)"]
    assert resource.getrlimit(resource.RLIMIT_CPU) != (600, 600)


def test_a_good_file_is_validated_once_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "good.cbm"
    copy.write_bytes(BUNDLED.read_bytes())
    check_model(copy)
    monkeypatch.setattr(sys, "executable", "/none")
    check_model(copy)
    copy.write_bytes(BUNDLED.read_bytes() + b"more")
    with pytest.raises(ModelRefused, match="can't be validated"):
        check_model(copy)


def test_a_good_file_is_validated_for_each_positive_class(tmp_path: Path) -> None:
    path = toys.save(toys.classifier("a", "b"), tmp_path)
    for positive_class in ("a", "b"):
        check_model(path, positive_class)
        manifest = json.loads(validate(path, positive_class=positive_class))
        assert manifest["positive_class"] == positive_class
    for positive_class, reason in (
        ("", "it is not clear which is positive"),
        ("c", "positive_class is c, and its classes are a and b"),
        ("\0", "it can't be validated: its path or positive class is not text"),
    ):
        with pytest.raises(ModelRefused, match=reason):
            check_model(path, positive_class)


def test_the_notebook_lives(crashing: Path) -> None:
    with pytest.raises(ModelRefused) as caught:
        pick_regno(*_READING, str(crashing))
    assert str(caught.value) == f"{crashing} is refused: {CRASHED}"


def test_a_file_is_not_scored_with_it(crashing: Path, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    rows.write_bytes(as_csv(samples(2)))
    ran = subprocess.run(
        [sys.executable, "-m", "model.score", "--model", crashing, "--no-progress", rows, out],
        cwd=ROOT,
        env=environment(tmp_path, {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (65, "")
    assert ran.stderr == f"python -m model.score: {crashing} is refused: {CRASHED}\n"
    assert not out.exists()


def test_no_model_is_held_against_it(
    crashing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "rows.csv", labelled(300))
    assert run(tmp_path, "--against", crashing) == 65
    refusal = f"python -m model.train: {crashing} is refused: {CRASHED}\n"
    assert capsys.readouterr().err == refusal
    assert not (tmp_path / "out").exists()


def test_no_model_is_held_against_a_live_version_that_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = open_registry(tmp_path / "models", check=no_check)
    registry.add(as_version("v1", repickled(tmp_path).read_bytes()))
    registry.promote("v1", who="the tests")
    write(tmp_path / "rows.csv", labelled(300))
    assert run(tmp_path, "--models", tmp_path / "models") == 65
    refusal = f"{registry.fetch('v1')} is refused: {CRASHED}"
    assert capsys.readouterr().err == f"python -m model.train: {refusal}\n"


@pytest.mark.parametrize("what", ["add", "promote", "shadow", "rollback", "verify"])
def test_the_registry_refuses_it(what: str, tmp_path: Path) -> None:
    faulty, models = repickled(tmp_path), tmp_path / "models"
    registry = open_registry(models, check=no_check)
    for version in ("v0", "v1", "v2"):
        registry.add(as_version(version, faulty.read_bytes()))
    for version in ("v1", "v0"):
        registry.promote(version, who="the tests")
    arguments: dict[str, tuple[object, ...]] = {
        "add": (faulty,),
        "promote": ("v2",),
        "shadow": ("v2",),
        "rollback": (),
        "verify": (),
    }
    done = command(tmp_path, what, *arguments[what], "--models", models, expect=1)
    assert CRASHED in done.stdout + done.stderr
    aliases = registry.aliases()
    assert (aliases.live, aliases.shadow, aliases.previous) == ("v0", "", "v1")


@pytest.mark.parametrize("folder", ["/", ".", "", ".."])
def test_a_folder_is_refused_whatever_its_name(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = f"{Path(folder)} is refused: it can't be read: Is a directory"
    with pytest.raises(ModelRefused) as caught:
        pick_regno(*_READING, folder)
    assert str(caught.value) == refusal
    write(tmp_path / "rows.csv", labelled(300))
    assert run(tmp_path, "--against", folder or ".") == 65
    assert capsys.readouterr().err == f"python -m model.train: {refusal}\n"
    into = tmp_path / "out.csv"
    assert score.main(["--model", folder, str(tmp_path / "rows.csv"), str(into)]) == 65
    assert capsys.readouterr().err.endswith(f"python -m model.score: {refusal}\n")
    assert not into.exists()


def test_a_small_file_takes_little_memory_to_read(tmp_path: Path) -> None:
    path = tmp_path / "m.cbm"
    path.write_bytes(b"small")
    tracemalloc.start()
    try:
        assert files.read(path) == b"small"
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100_000
