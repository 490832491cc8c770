"""The class that is `positive`, for every interface: by its name, never by its position."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from catboost import CatBoost, CatBoostClassifier, Pool
from hypothesis import given
from hypothesis import strategies as st

from model import ModelRefused
from model.registry import open_registry
from model.regno import Reading, RegnoScorer, compare, golden_readings, pick_regno
from model.regno.manifest_builder import complete
from model.regno.model_file.classes import classes_of
from model.regno.request import FIELDS, from_fields
from tests.support import toys
from tests.support.labelled import labelled, report, run, write
from tests.support.messages import mentions, states, stating
from tests.support.paths import GOLDEN, lines
from tests.support.registry import as_json, command
from tests.support.tables import as_csv, read, samples
from tests.support.tables import run as score_file

_UNCLEAR = "not clear which is positive"
READINGS = [from_fields(**line["request"]) for line in lines(GOLDEN)[:40]]
# (negative, positive) whose names tell, and the name of the positive one.
EVIDENT = {
    "integers": (0, 1, "1"),
    "truth": (False, True, "True"),
    "texts": ("0", "1", "1"),
    "floats": (0.0, 1.0, "1"),
    "texts of floats": ("0.0", "1.0", "1.0"),
    "texts of truth": ("False", "True", "True"),
    "small letters": ("false", "true", "true"),
    "capitals": ("FALSE", "TRUE", "TRUE"),
}
ORDERS = [
    (name, turned)
    for name in EVIDENT
    for turned in (False, True)
    if (name, turned) != ("truth", True)  # CatBoost itself refuses that order
]


def _evident(name: str, *, turned: bool, **options: Any) -> CatBoost:
    negative, positive, _ = EVIDENT[name]
    if turned:
        options["class_names"] = [positive, negative]
    return toys.classifier(negative, positive, **options)


def _positives(scorer: RegnoScorer, readings: list[Reading] = READINGS) -> list[float]:
    return [score.positive for score in scorer.score(readings)]


def _of_class(model: CatBoost, label: object) -> list[float]:
    """What CatBoost says of a class, whatever its place."""
    rows = toys.table(toys.NUMERIC_PAIR)[: len(READINGS)]
    probabilities: Any = model.predict(rows, prediction_type="Probability")
    return list(probabilities[:, model.classes_.tolist().index(label)])


@pytest.mark.parametrize(("name", "turned"), ORDERS)
def test_the_positive_class_is_known_by_its_name(
    name: str, *, turned: bool, tmp_path: Path
) -> None:
    _, label, text = EVIDENT[name]
    model = _evident(name, turned=turned)
    scorer = RegnoScorer.load(toys.save(model, tmp_path), warm=True)
    assert scorer.positive_class == text
    assert scorer.classes[1 - turned] == text
    assert _positives(scorer) == _of_class(model, label)
    for score in scorer.score(READINGS):
        assert score.negative == pytest.approx(1 - score.positive, abs=1e-15)


def test_weights_by_class_turn_catboosts_order_and_no_score(tmp_path: Path) -> None:
    x, y = [[i / 100] for i in range(100)], [int(i >= 50) for i in range(100)]
    model = CatBoostClassifier(
        iterations=20, verbose=False, allow_writing_files=False, class_weights={1: 3.0, 0: 1.0}
    ).fit(Pool(x, y, feature_names=["afts_regno_ai_score"]))
    assert model.classes_.tolist() == [1, 0]
    scorer = RegnoScorer.load(toys.save(model, tmp_path))
    example = lines(GOLDEN)[0]["request"]
    sure, unsure = (from_fields(**{**example, "afts_regno_ai_score": s}) for s in (0.99, 0.01))
    assert _positives(scorer, [sure, unsure]) == pytest.approx([0.8831, 0.1826], abs=1e-4)


@pytest.mark.parametrize("turned", [False, True])
def test_rows_and_tables_agree_on_it(*, turned: bool, tmp_path: Path) -> None:
    scorer = RegnoScorer.load(toys.save(_evident("integers", turned=turned), tmp_path))
    many = [*READINGS] * 11
    assert scorer.score_table(scorer.table.of_readings(many)) == scorer.score(many)


def _explained(scorer: RegnoScorer) -> tuple[float, float, dict[str, float]]:
    explainer = scorer.explainer()
    try:
        (result,) = scorer.explained(scorer.rows(READINGS[:1]), explainer, 60)
    finally:
        explainer.close()
    return result.raw, result.base, {each.feature: each.contribution for each in result.features}


def test_contributions_speak_for_the_network_when_they_are_above_0(tmp_path: Path) -> None:
    """Of the same data, whatever the order of the classes: signs, base and raw."""
    usual, turned = (
        _explained(RegnoScorer.load(toys.save(_evident("texts", turned=turned), tmp_path)))
        for turned in (False, True)
    )
    assert turned[0] == pytest.approx(usual[0], abs=1e-9)
    assert turned[1] == pytest.approx(usual[1], abs=1e-9)
    assert turned[2] == pytest.approx(usual[2], abs=1e-9)
    assert READINGS[0].afts_regno_ai_score > 0.5
    assert usual[2]["afts_regno_ai_score"] > 0


def test_classes_without_a_telling_name_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    model = toys.classifier("network", "camera", class_names=["network", "camera"])
    path = toys.save(model, tmp_path)
    with pytest.raises(ModelRefused) as caught:
        RegnoScorer.load(path)
    message = str(caught.value)
    assert states(message, f"{path} is refused: ", "network and camera", "not clear")
    for name in ("SCORING_POSITIVE_CLASS", "--positive-class", "positive_class in its manifest"):
        assert name in message
    for name in ("network", "camera"):
        scorer = RegnoScorer.load(path, name, warm=True)
        assert (scorer.classes, scorer.positive_class) == (("network", "camera"), name)
        assert _positives(scorer) == _of_class(model, name)


@pytest.mark.parametrize(
    ("labels", "named", "facts"),
    [
        ([0, 1], "0", ("positive_class is 0", "0 and 1", "only be 1")),
        ([1, 0], "2", ("positive_class is 2", "1 and 0")),
        (["no", "yes"], "Yes", ("positive_class is Yes", "no and yes")),
        ([1, 2], "", ("1 and 2", _UNCLEAR)),
        ([-1, 1], "", ("-1 and 1", _UNCLEAR)),
        (["0", "true"], "", ("0 and true", _UNCLEAR)),
        (["None", "1"], "", ("None and 1", _UNCLEAR)),
        ([1, 1], "1", ("1 and 1", "not two")),
        ([0, 1, 2], "1", ("3 classes", "binary classifier")),
        ([], "1", ("no classifier", "binary classifier")),
        (["a\n", "b"], "b", (r"'a\n' and b", "long", "unprintable")),
        (["a" * 61, "b"], "b", ("long", "unprintable")),
    ],
)
def test_contradictory_or_ambiguous_classes_are_refused(
    labels: list[object], named: str, facts: tuple[str, ...]
) -> None:
    with pytest.raises(ModelRefused, match=stating(*facts)):
        classes_of(labels, named)


@given(st.permutations(["camera", "network"]), st.sampled_from(["camera", "network"]))
def test_a_named_class_is_found_wherever_it_is(order: list[str], named: str) -> None:
    result = classes_of(order, named)
    assert (result.positive, result.names[result.positive_at]) == (named, named)


def test_a_notebook_may_name_it(scorer: RegnoScorer, tmp_path: Path) -> None:
    model = toys.classifier("a", "b", class_names=["b", "a"])
    request = lines(GOLDEN)[0]["request"]
    pick: Any = partial(pick_regno, *(request[name] for name in FIELDS))
    path = toys.save(model, tmp_path)
    (expected, *_) = _of_class(model, "b")
    for given_model in (model, path, str(path), RegnoScorer.load(path, "b")):
        assert pick(given_model, "b")["positive"] == expected
    for given_model in (model, path):
        with pytest.raises(ModelRefused, match=_UNCLEAR):
            pick(given_model)
    with pytest.raises(ModelRefused, match="positive_class is 1"):
        pick(scorer, "0")


def _write_manifest(path: Path, **changed: Any) -> None:
    """Write the derived manifest of a model file, with changes, into its folder."""
    result = msgspec.to_builtins(complete(RegnoScorer.load(path, "b"), path))
    path.with_name("manifest.json").write_text(json.dumps({**result, **changed}))


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A model with the classes a and b, of which b is positive, though it comes first."""
    return toys.save(toys.classifier("a", "b", class_names=["b", "a"]), tmp_path, "named.cbm")


def test_a_derived_manifest_says_it_and_has_the_golden_scores_of_it(named: Path) -> None:
    result = complete(RegnoScorer.load(named, "b"), named)
    assert (result.classes, result.positive_class) == (["b", "a"], "b")
    assert result.golden == _positives(RegnoScorer.load(named, "b"), golden_readings())
    _write_manifest(named)
    assert RegnoScorer.load(named, warm=True).positive_class == "b"


@pytest.mark.parametrize(
    ("changed", "given_class", "facts"),
    [
        ({}, "a", ("manifest", "positive_class is b", "not a")),
        ({"positive_class": "c"}, "", ("positive_class is c", "b and a")),
        ({"classes": ["a", "b"]}, "", ("classes: ", "b and a")),
        ({"positive_class": ""}, "", (_UNCLEAR,)),
    ],
)
def test_a_manifest_that_contradicts_is_refused(
    changed: dict[str, Any], given_class: str, facts: tuple[str, ...], named: Path
) -> None:
    _write_manifest(named, **changed)
    with pytest.raises(ModelRefused, match=stating(*facts)):
        RegnoScorer.load(named, given_class)


def test_an_older_manifest_says_nothing_of_it(named: Path) -> None:
    _write_manifest(named, classes=[], positive_class="")
    assert RegnoScorer.load(named, "b", warm=True).positive_class == "b"


def test_parity_sees_the_same_model_turned_as_the_same(tmp_path: Path) -> None:
    usual, turned = (
        RegnoScorer.load(toys.save(_evident("texts", turned=turned), tmp_path, f"{turned}.cbm"))
        for turned in (False, True)
    )
    result = compare(usual, turned, READINGS)
    assert (result.flips.count, result.unusable) == (0, 0)
    assert result.differences.max < 1e-12


def test_a_registry_takes_the_name_and_says_it(named: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"

    def run_command(*arguments: object, expect: int = 0) -> Any:
        return command(tmp_path, *arguments, "--models", models, expect=expect)

    assert _UNCLEAR in run_command("add", named, expect=1).stderr
    refused = run_command("add", named, "--positive-class", "c", expect=1)
    assert mentions(refused.stderr, "positive_class is c", "b and a")
    added = run_command("add", named, "--version", "v1", "--positive-class", "b").stdout
    assert mentions(added, "positive class", "b of b and a")
    assert "  b of b and a  " in run_command("list").stdout.splitlines()[1]
    (version,) = as_json(run_command("list", "--json"))["versions"]
    assert (version["classes"], version["positive_class"]) == (["b", "a"], "b")
    run_command("promote", "v1")
    assert run_command("verify").stdout == "versions: 1, faults: 0\n"
    served = RegnoScorer.load(open_registry(models).fetch("v1"), warm=True)
    assert _positives(served) == _positives(RegnoScorer.load(named, "b"))


def test_a_file_of_rows_is_scored_by_the_name(named: Path, tmp_path: Path) -> None:
    rows = samples(20)
    (tmp_path / "in.csv").write_bytes(as_csv(rows))
    files = (tmp_path / "in.csv", tmp_path / "out.csv", "--model", named, "--processes", 1)
    refused = score_file(*files, expect=65).stderr.decode()
    assert _UNCLEAR in refused
    score_file(*files, "--positive-class", "b")
    scores = [float(row["positive"]) for row in read((tmp_path / "out.csv").read_bytes())]
    readings = [from_fields(**row) for row in rows]
    assert scores == _positives(RegnoScorer.load(named, "b"), readings)


def test_training_writes_it_and_compares_with_the_class_that_is_named(
    named: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = labelled(400)
    write(tmp_path / "rows.csv", rows)
    assert run(tmp_path, "--against", named, out="none") == 65
    assert _UNCLEAR in capsys.readouterr().err
    auc = []
    for name in ("a", "b"):
        assert run(tmp_path, "--against", named, "--positive-class", name, out=name) == 0
        auc.append(report(tmp_path / name)["against"]["measures"]["auc"]["other"])
    assert auc[0] == pytest.approx(1 - auc[1], abs=1e-12)
    assert auc[1] > 0.5
    made = json.loads((tmp_path / "a/manifest.json").read_bytes())
    assert (made["classes"], made["positive_class"], made["unexplained"]) == (["0", "1"], "1", "")


def test_a_class_is_named_of_a_model_to_compare_with_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, "--positive-class", "b")
    assert stopped.value.code == 2
    assert "--positive-class needs --against" in capsys.readouterr().err


def test_a_bare_model_is_probed_for_its_categories_whatever_its_order(tmp_path: Path) -> None:
    """What is unseen depends on scores: turned round, they must still tell two values apart."""
    rows = [["Стационарная"], ["Передвижная"], ["Иная"]] * 40
    labels = ["b" if kind == "Стационарная" else "a" for [kind] in rows]
    pool = Pool(rows, labels, feature_names=["camera_type"], cat_features=[0])
    options = {"iterations": 5, "verbose": False, "allow_writing_files": False}
    known = []
    for order in (["a", "b"], ["b", "a"]):
        model = CatBoost({**options, "loss_function": "Logloss", "class_names": order}).fit(pool)
        scorer = RegnoScorer.load(toys.save(model, tmp_path), "b")
        known.append((scorer.categories["camera_type"], scorer.unseen(["Неведомая"])))
    assert known[0] == known[1] == (("Передвижная", "Стационарная"), ["camera_type"])
