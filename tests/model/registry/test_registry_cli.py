"""`python -m model.registry` as operators run it, with real models."""

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from model.registry import open_registry
from model.regno import BUNDLED, FIELDS, RegnoScorer, manifest_builder
from model.regno.golden import readings
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.request import from_fields
from tests.support.commands import environment
from tests.support.messages import mentions, states
from tests.support.paths import ROOT, WITH_TOY
from tests.support.registry import as_json, command, files
from tests.support.server import eventually
from tests.support.tables import as_csv, samples

BUNDLED_VERSION = json.loads(BUNDLED.with_name("manifest.json").read_bytes())["version"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Where a test's registry is."""
    return tmp_path / "models"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The bundled model without its manifest."""
    (tmp_path / "bare").mkdir()
    path = tmp_path / "bare" / "theirs.cbm"
    path.write_bytes(BUNDLED.read_bytes())
    return path


@pytest.mark.slow
def test_the_life_of_two_versions(models: Path, bare: Path, tmp_path: Path) -> None:
    def run(*arguments: object, expect: int = 0) -> str:
        return command(tmp_path, *arguments, "--models", models, expect=expect).stdout

    assert states(run("list"), f"{models}/regno: ", "no versions")
    assert run("add", BUNDLED).startswith(f"{BUNDLED_VERSION}: added (SHA-256 ")
    assert "there already" in run("add", BUNDLED)
    assert run("add", bare, "--version", "theirs-1").startswith("theirs-1: added")
    assert run("promote", BUNDLED_VERSION) == (
        f"live: none -> {BUNDLED_VERSION}\ngeneration: 0 -> 1\n"
    )
    compared, *rest = run("promote", "theirs-1", "--note", "their cameras").splitlines()
    assert mentions(compared, "16 rows", "0 decided differently", "probabilities")
    assert mentions(rest[-4], "only 16 rows", "200")
    assert "\n".join(rest[-3:]) == (
        f"live: {BUNDLED_VERSION} -> theirs-1\nprevious: none -> {BUNDLED_VERSION}\n"
        "generation: 1 -> 2"
    )
    head, first, second, foot = run("list").splitlines()
    assert re.split("  +", head) == [
        *("VERSION", "ALIASES", "AUC", "ROWS", "ADDED", "SIZE", "POSITIVE CLASS"),
        *("DRIFT", "REPORT", "NOTE"),
    ]
    bundled = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    auc = f"{bundled['metrics']['model']['auc']:.4f}"
    one = re.split("  +", first)
    assert [*one[:4], *one[5:]] == [
        *(BUNDLED_VERSION, "previous", auc, "90000", "1.60 MB", "1 of 0 and 1", "yes", "no"),
    ]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", one[4])
    two = re.split("  +", second)
    assert [*two[:4], *two[5:]] == [
        *("theirs-1", "live", "–", "–", "1.60 MB", "1 of 0 and 1", "no", "no", "their cameras"),
    ]
    assert foot == f"{models}/regno, generation 2"
    assert run("rollback").startswith(f"live: theirs-1 -> {BUNDLED_VERSION}\n")
    assert run("shadow", "theirs-1") == "shadow: none -> theirs-1\ngeneration: 3 -> 4\n"
    assert run("verify") == "versions: 2, faults: 0\n"
    assert run("history").splitlines()[2].endswith("their cameras")


def test_what_all_commands_take_may_stand_before_the_command_or_behind_it(models: Path) -> None:
    common = ["--models", str(models), "--name", "toy", "--json"]
    listed = {"registry": f"{models}/toy", "generation": 0, "versions": []}
    for place in range(len(common) + 1):
        before, behind = common[:place], common[place:]
        if before[-1:] in (["--models"], ["--name"]):
            continue
        done = command(models.parent, *before, "list", *behind, settings=WITH_TOY)
        assert as_json(done) == listed
    # The later one holds, as where an option is given twice.
    done = command(models.parent, "--models", "elsewhere", "list", "--models", models)
    assert done.stdout == f"{models}/regno: no versions\n"


@pytest.mark.parametrize("help_of", [("--help",), ("list", "--help")])
def test_help_shows_the_defaults_in_both_places(tmp_path: Path, help_of: tuple[str, ...]) -> None:
    help_text = command(tmp_path, *help_of).stdout
    assert "--models DIR" in help_text
    assert "(default: ./models)" in " ".join(help_text.split())


@pytest.mark.slow
def test_json_says_the_same(models: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> Any:
        return as_json(command(tmp_path, *arguments, "--models", models, "--json"))

    added = run("add", BUNDLED)
    digest = RegnoScorer.load().sha256
    named = {"classes": ["0", "1"], "positive_class": "1"}
    expected = {
        "version": BUNDLED_VERSION,
        "sha256": digest,
        **named,
        "unexplained": "",
        "drift_variables": 39,
        "new": True,
        "remarks": [],
    }
    assert added == expected
    moved = run("promote", BUNDLED_VERSION, "--note", "first")
    assert moved["before"]["generation"] == 0
    assert moved["after"] == {
        "live": BUNDLED_VERSION,
        "shadow": "",
        "previous": "",
        "generation": 1,
    }
    listed = run("list")
    assert (listed["registry"], listed["generation"]) == (f"{models}/regno", 1)
    (version,) = listed["versions"]
    assert version.pop("added").endswith("Z")
    bundled = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    assert version == {
        "version": BUNDLED_VERSION,
        "source": "",
        "aliases": ["live"],
        "bytes": BUNDLED.stat().st_size,
        "sha256": digest,
        "auc": bundled["metrics"]["model"]["auc"],
        "rows": 90_000,
        "drift_variables": 39,
        "note": "first",
        "report": [],
        **named,
    }
    (change,) = run("history")
    assert (change["what"], change["note"], change["forced"]) == ("promote", "first", "")
    assert "@" in change["who"]
    assert run("verify") == {"registry": f"{models}/regno", "faults": []}


def test_a_bare_model_gets_its_manifest_from_the_file(
    models: Path, bare: Path, tmp_path: Path
) -> None:
    command(tmp_path, "add", bare, "--models", models)
    model = BinaryModel.load(bare)
    version = f"sha256-{model.sha256[:12]}"
    path = open_registry(models).fetch(version)
    assert path.read_bytes() == bare.read_bytes()
    scorer = RegnoScorer.load(path)
    manifest = scorer.manifest
    assert manifest
    assert (manifest.name, manifest.version, manifest.file) == ("regno", version, "model.cbm")
    assert [(f.name, f.kind) for f in manifest.features] == model.features
    assert manifest.borders == model.borders()
    assert 0 < len(manifest.borders["afts_regno_ai_score"]) < 255
    assert manifest.golden == [score.positive for score in scorer.score(readings())]
    assert manifest.vocabularies == {}
    # It lists no categories, so they come from the model itself, as without a manifest.
    assert scorer.watched_categories == RegnoScorer.load(bare).watched_categories
    row = list(scorer.row(readings()[0]))
    assert scorer.unseen(row) == []
    at = [name for name, _ in model.features].index("camera_class")
    assert scorer.unseen([*row[:at], "no such class", *row[at + 1 :]]) == ["camera_class"]


def test_a_sample_gives_the_vocabulary_that_the_model_knows(
    models: Path, bare: Path, tmp_path: Path
) -> None:
    rows = [*samples(40), {**samples(1)[0], "camera_class": "unheard of"}]
    rows.append({**samples(1)[0], "direction": "sideways"})
    rows.append({**samples(1)[0], "camera_class": "", "camera_type": " "})
    (tmp_path / "sample.csv").write_bytes(as_csv(rows))
    sample = ("--vocabulary-from", tmp_path / "sample.csv")
    command(tmp_path, "add", bare, *sample, "--version", "v1", "--models", models)
    manifest = RegnoScorer.load(open_registry(models).fetch("v1")).manifest
    assert manifest
    trained = json.loads(BUNDLED.with_name("manifest.json").read_bytes())["vocabularies"]
    assert manifest.vocabularies == {n: trained[n] for n in ("camera_class", "camera_type")}
    assert manifest.training == {"vocabularies": {"rows": 43, "unreadable": 1}}
    assert manifest.plate_lengths == 11


def test_rows_of_a_sample_with_plates_for_names_are_left_out(
    models: Path, bare: Path, tmp_path: Path
) -> None:
    rows = [{**row, "camera_class": "А939НО196"} for row in samples(4)]
    (tmp_path / "sample.csv").write_bytes(as_csv(rows))
    sample = ("--vocabulary-from", tmp_path / "sample.csv")
    done = command(tmp_path, "add", bare, *sample, "--models", models, expect=1)
    assert mentions(done.stderr, "none", "4 rows", f"{tmp_path}/sample.csv")


@pytest.mark.parametrize("option", ["--vocabulary-from", "--reference-from"])
@pytest.mark.parametrize("rows", [[], [{**samples(1)[0], "direction": "sideways"}] * 2])
def test_a_sample_without_a_reading_ends_with_the_status_of_wrong_tables(
    models: Path, bare: Path, tmp_path: Path, option: str, rows: list[dict[str, Any]]
) -> None:
    (tmp_path / "sample.csv").write_bytes(as_csv(rows))
    sample = (option, tmp_path / "sample.csv")
    done = command(tmp_path, "add", bare, *sample, "--models", models, expect=65)
    assert mentions(
        done.stderr, f"no row of {tmp_path}/sample.csv", "model.score counts the reasons"
    )
    assert len(done.stderr.splitlines()) == 1


def test_bad_rows_of_a_sample_are_counted(models: Path, bare: Path, tmp_path: Path) -> None:
    rows = [*samples(3), {**samples(1)[0], "direction": 7}]
    (tmp_path / "sample.csv").write_bytes(as_csv(rows))
    sample = ("--reference-from", tmp_path / "sample.csv")
    done = command(tmp_path, "add", bare, *sample, "--models", models)
    assert mentions(done.stdout, "1 of 4 rows of", "not readings", "model.score counts the reasons")


def test_a_refusal_names_no_option_that_a_command_lacks(
    models: Path, bare: Path, tmp_path: Path
) -> None:
    rows = [{**samples(1)[0], "time_check": "02/01/2021 09:05"}]
    (tmp_path / "sample.csv").write_bytes(as_csv(rows))
    sample = ("--vocabulary-from", tmp_path / "sample.csv")
    done = command(tmp_path, "add", bare, *sample, "--models", models, expect=65)
    assert mentions(done.stderr, "sample.csv", "dates", "year first")
    assert "--dates" not in done.stderr


def test_a_sample_gives_the_number_of_lengths_with_network_confidences(
    models: Path, bare: Path, tmp_path: Path
) -> None:
    rows = samples(5)
    for row in rows[1:]:
        row["afts_regno_ai_length_scores"] = str([0.1] * 13)
    (tmp_path / "sample.csv").write_bytes(as_csv(rows))
    sample = ("--vocabulary-from", tmp_path / "sample.csv")
    command(tmp_path, "add", bare, *sample, "--version", "v1", "--models", models)
    assert RegnoScorer.load(open_registry(models).fetch("v1")).plate_lengths == 13


def test_readings_give_a_bare_model_its_drift_reference(
    models: Path, bare: Path, tmp_path: Path
) -> None:
    rows = samples(40)
    bad = [{**rows[0], "direction": "sideways"}, {**rows[0], "camera_class": "А939НО196"}]
    (tmp_path / "rows.csv").write_bytes(as_csv([*rows, *bad]))
    done = command(tmp_path, "add", bare, "--version", "v1", "--models", models)
    assert mentions(done.stdout, "no drift reference", "--reference-from")
    given = ("--reference-from", tmp_path / "rows.csv")
    done = command(tmp_path, "add", bare, "--version", "v2", *given, "--models", models)
    assert "no drift reference" not in done.stdout
    scorer = RegnoScorer.load(open_registry(models).fetch("v2"))
    assert scorer.manifest
    assert scorer.manifest.training == {"reference": {"rows": 42, "unreadable": 2}}
    assert scorer.manifest.vocabularies == {}
    variables = {variable.name: variable for variable in scorer.manifest.reference}
    # In all forty rows this one has no value.
    unknown = {"foreign_sym"}
    listed = {of.name for of in scorer.manifest.features if of.kind != "text"} - unknown
    assert variables.keys() == {*listed, "positive"}
    whole = scorer.importances()
    weighed = {name for name in variables if name != "positive"}
    for name in weighed:
        share = whole[name] / sum(whole[name] for name in weighed)
        assert variables[name].importance == pytest.approx(share, abs=1e-6)
    classes = Counter(row["camera_class"] for row in rows)
    expected = {name: count / 40 for name, count in classes.items()} | {"other": 0.0}
    shares = variables["camera_class"]
    assert dict(zip(shares.bins, shares.shares, strict=True)) == pytest.approx(expected)
    # The same rows, counted as live ones are, have its very shares.
    counter = scorer.drift_counter()
    features = scorer.rows([from_fields(**{n: row[n] for n in FIELDS}) for row in rows])
    counter.add_rows(features, [score.positive for score in scorer.predict(features)])
    for (name, bin_), count in counter.take().items():
        place = variables[name].bins.index(bin_)
        assert count / 40 == pytest.approx(variables[name].shares[place], abs=1e-6)


def test_of_many_readings_a_sample_gives_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scorer: RegnoScorer
) -> None:
    monkeypatch.setattr(manifest_builder, "REFERENCE_ROWS", 30)
    (tmp_path / "rows.csv").write_bytes(as_csv(samples(200)))
    assert scorer.manifest
    first, second = (
        manifest_builder.with_reference(scorer.manifest, scorer, tmp_path / "rows.csv")
        for _ in range(2)
    )
    assert first == second
    assert first.training["reference"] == {"rows": 200, "unreadable": 0}
    of_score = {variable.name: variable for variable in first.reference}["positive"]
    counts = [share * 30 for share in of_score.shares]
    assert counts == pytest.approx([round(count) for count in counts], abs=1e-4)
    assert sum(counts) == pytest.approx(30, abs=1e-3)


@pytest.mark.slow
def test_the_customers_rows_give_their_model_a_drift_reference(
    customer: Path, customer_model: Path, models: Path, tmp_path: Path
) -> None:
    rows = customer / "customer" / "test_data.csv"
    command(tmp_path, "add", customer_model, "--models", models)
    given = ("--version", "theirs", "--reference-from", rows, "--models", models)
    added = as_json(command(tmp_path, "add", customer_model, *given, "--json"))
    assert added["drift_variables"] > 30
    assert command(tmp_path, "verify", "--models", models).stdout == "versions: 2, faults: 0\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"a,b\n1,2\n", "lacks regno_recognize, "),
        (b"\xff\xfe", "it is empty"),
        ("time_check,direction\n".encode("utf-16-le"), "lacks regno_recognize, "),
        ("time_check,direction\n".encode("utf-16"), "lacks regno_recognize, "),
        (b"", "it is empty"),
    ],
)
def test_a_sample_that_is_none_is_refused(
    text: bytes, reason: str, models: Path, bare: Path, tmp_path: Path
) -> None:
    (tmp_path / "sample.csv").write_bytes(text)
    sample = ("--vocabulary-from", tmp_path / "sample.csv")
    done = command(tmp_path, "add", bare, *sample, "--models", models, expect=65)
    assert reason in done.stderr
    assert not models.exists()


def test_a_model_with_a_manifest_takes_no_sample(models: Path, tmp_path: Path) -> None:
    (tmp_path / "sample.csv").write_bytes(as_csv(samples(3)))
    sample = ("--vocabulary-from", tmp_path / "sample.csv")
    done = command(tmp_path, "add", BUNDLED, *sample, "--models", models, expect=1)
    assert "it has a manifest" in done.stderr


@pytest.mark.slow
def test_verify_prints_every_fault_and_ends_with_1(models: Path, tmp_path: Path) -> None:
    command(tmp_path, "add", BUNDLED, "--models", models)
    command(tmp_path, "promote", BUNDLED_VERSION, "--models", models)
    registry = open_registry(models)
    registry.add(files("junk", b"no model"))
    path = registry.fetch(BUNDLED_VERSION)
    blob = path.read_bytes()
    path.write_bytes(blob[:-1] + bytes([blob[-1] ^ 1]))
    done = command(tmp_path, "verify", "--models", models, expect=1)
    *faults, foot = done.stdout.splitlines()
    assert foot == "versions: 2, faults: 2"
    assert states(faults[0], f"{BUNDLED_VERSION}: ", "model.cbm", "manifest.json")
    assert faults[1].startswith("junk: ")
    done = command(tmp_path, "promote", "junk", "--models", models, expect=1)
    assert states(done.stderr, "python -m model.registry: ", "the model is refused")
    output = as_json(command(tmp_path, "verify", "--models", models, "--json", expect=1))
    assert [fault["what"] for fault in output["faults"]] == [BUNDLED_VERSION, "junk"]


@pytest.mark.parametrize(
    ("arguments", "status", "facts"),
    [
        ((), 2, ("required",)),
        (("promote",), 2, ("required", "version")),
        (("promote", "v1", "--models", "gs://x"), 1, ("gs://x", "folder", "s3://bucket")),
        (("list", "--name", "../x"), 1, ("'../x'", "name")),
        (("list", "--name", "rego"), 1, ("no model 'rego'", "regno")),
        (("list", "--name", "A939HO196"), 1, ("model: ", "number plate")),
        (("rollback", "--models", "none"), 1, ("no previous version",)),
        (("list", "--models", "/dev/null"), 69, ("/dev/null", "Not a directory")),
    ],
)
def test_wrong_use_is_reported_by_status_and_reason(
    arguments: tuple[str, ...], status: int, facts: tuple[str, ...], tmp_path: Path
) -> None:
    assert mentions(command(tmp_path, *arguments, expect=status).stderr, *facts)


def test_a_version_that_may_be_a_plate_is_not_added(
    bare: Path, models: Path, tmp_path: Path
) -> None:
    done = command(tmp_path, "add", bare, "--version", "A939HO196", "--models", models, expect=1)
    assert states(done.stderr, "python -m model.registry: version: ", "number plate")
    assert "A939HO196" not in done.stderr
    assert not models.exists()


def test_a_stop_leaves_no_trace(models: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "model.registry", "add", BUNDLED, "--models", models],
        cwd=ROOT,
        env=environment(tmp_path, {}),
        stderr=subprocess.PIPE,
    )
    eventually(lambda: bool(psutil.Process(process.pid).children()), "the file is validated")
    (validator,) = psutil.Process(process.pid).children()

    def ended() -> bool:
        # Again: one that comes between two system calls waits for the end of the second.
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
        return process.returncode is not None

    eventually(ended, "it ends")
    _, output = process.communicate()
    assert (process.returncode, output) == (143, b"")
    assert not validator.is_running()
    assert not models.exists()
    assert not list(tmp_path.glob("model-*"))
