"""What may be chosen about training: features, weights, a final fit; and what is recorded of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.regno import RegnoScorer
from model.regno.features import KINDS, NAMES, SETS
from tests.support.labelled import TINY, Row, labelled, report, run, scores, write
from tests.support.messages import mentions

Captured = pytest.CaptureFixture[str]
ROWS = labelled()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with rows."""
    write(tmp_path / "rows.csv", ROWS)
    return tmp_path


def test_features_can_be_left_out_by_option_and_by_file(folder: Path) -> None:
    left_out = '[features]\nwithout = ["weekday", "regno_recognize_text"]\n'
    (folder / "tiny.toml").write_text(left_out + TINY, encoding="utf-8")
    assert run(folder, "--without", "month", "--without", "foreign_sym") == 0
    without = {"weekday", "regno_recognize_text", "month", "foreign_sym"}
    scorer = RegnoScorer.load(folder / "out/regno.cbm", warm=True)
    assert scorer.manifest
    names = [feature.name for feature in scorer.manifest.features]
    assert names == [name for name in NAMES if name not in without]
    assert not without & scorer.manifest.vocabularies.keys()
    assert not without & {variable.name for variable in scorer.manifest.reference}
    assert set(report(folder / "out")["parameters"]["features"]["without"]) == without
    assert len(scores(folder / "out/regno.cbm", ROWS)) == 400


@pytest.mark.parametrize("chosen", ["v2", "v2-notext"])
def test_a_feature_set_is_chosen_by_option_and_by_file(folder: Path, chosen: str) -> None:
    assert run(folder, "--features", chosen, "--without", "camera_tail", out="option") == 0
    by_file = f'{TINY}[features]\nset = "{chosen}"\nwithout = ["camera_tail"]\n'
    (folder / "tiny.toml").write_text(by_file, encoding="utf-8")
    model = folder / "option/regno.cbm"
    assert run(folder, "--against", model, out="file") == 0
    names = [name for name in SETS[chosen] if name != "camera_tail"]
    for out in ("option", "file"):
        scorer = RegnoScorer.load(folder / out / "regno.cbm", warm=True)
        assert scorer.table.features == [(name, KINDS[name]) for name in names]
        chosen_features = report(folder / out)["parameters"]["features"]
        assert chosen_features == {"set": chosen, "without": ["camera_tail"]}
    assert report(folder / "file")["against"]["measures"].keys() >= {"auc"}


def test_a_model_of_one_set_is_compared_with_one_of_another(folder: Path) -> None:
    assert run(folder, "--features", "v2-notext", out="new") == 0
    assert run(folder, "--against", folder / "new/regno.cbm") == 0
    assert report(folder / "out")["against"]["measures"].keys() >= {"auc"}


def test_a_feature_of_another_set_is_named(folder: Path, capsys: Captured) -> None:
    assert run(folder, "--without", "diff_pair") == 78
    assert mentions(capsys.readouterr().err, "no feature diff_pair", "set v1: ")


def test_a_set_that_is_none_is_named(folder: Path, capsys: Captured) -> None:
    (folder / "tiny.toml").write_text(f'{TINY}[features]\nset = "v3"\n', encoding="utf-8")
    assert run(folder) == 78
    assert mentions(capsys.readouterr().err, "features.set: ", "v1, v2, v2-notext")


def test_a_model_without_texts_can_be_trained(folder: Path) -> None:
    rows = [{**row, "regno_recognize": "", "afts_regno_ai": ""} for row in ROWS]
    write(folder / "rows.csv", rows)
    texts = ("--without", "regno_recognize_text", "--without", "afts_regno_ai_text")
    assert run(folder, *texts) == 0


def test_a_feature_that_is_none_is_named(folder: Path, capsys: Captured) -> None:
    assert run(folder, "--without", "mont") == 78
    assert mentions(capsys.readouterr().err, "--without", "no feature mont", "month")


def test_not_all_features_can_be_left_out(folder: Path, capsys: Captured) -> None:
    options = [part for name in NAMES for part in ("--without", name)]
    assert run(folder, *options) == 78
    assert mentions(capsys.readouterr().err, "all features")


def test_class_weights_raise_the_scores_of_the_class(folder: Path) -> None:
    assert run(folder) == 0
    (folder / "tiny.toml").write_text(TINY + "class_weights = [1, 9]\n", encoding="utf-8")
    assert run(folder, out="weighted") == 0
    plain, weighted = (scores(folder / o / "regno.cbm", ROWS) for o in ("out", "weighted"))
    assert sum(weighted) > sum(plain) + 10


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (("нет", "да"), "да"),
        (("No", "YES "), "yes"),
        (("false", "true"), "true"),
        (("N", "Y"), "y"),
        (("camera", "network"), "network"),
        (("камера", "сеть"), "Сеть"),
        (("1", "0"), "0"),
    ],
)
def test_labels_may_be_words(labels: tuple[str, str], positive: str, folder: Path) -> None:
    assert run(folder) == 0
    write(folder / "rows.csv", [{**row, "label": labels[row["label"]]} for row in ROWS])
    assert run(folder, "--positive", positive, out="words") == 0
    assert report(folder / "words")["model"] == report(folder / "out")["model"]


@pytest.mark.parametrize(
    ("label", "options", "facts"),
    [
        ("да", (), ("0 or 1", "not да")),
        ("maybe", ("--positive", "yes"), ("two words",)),
        ("", ("--positive", "yes"), ("empty",)),
        ("null", ("--positive", "yes"), ("two words", "not null")),
    ],
)
def test_a_word_that_is_no_label_is_named(
    label: str, options: tuple[str, ...], facts: tuple[str, ...], folder: Path, capsys: Captured
) -> None:
    labels = ("no", "yes") if options else (0, 1)
    rows = [{**row, "label": labels[row["label"]]} for row in ROWS]
    write(folder / "rows.csv", [{**rows[0], "label": label}, *rows[1:]])
    assert run(folder, *options) == 65
    assert mentions(capsys.readouterr().err, "line 2: label: ", *facts)


def _write_with(folder: Path, rows: list[Row], weights: list[str]) -> None:
    lines = write(folder / "rows.csv", rows).read_text(encoding="utf-8").splitlines()
    text = [f'{line},"{weight}"' for line, weight in zip(lines, ["weight", *weights], strict=True)]
    (folder / "rows.csv").write_text("\n".join(text), encoding="utf-8")


def test_rows_of_little_weight_hardly_count(folder: Path) -> None:
    flipped = [{**row, "label": 1 - row["label"]} for row in ROWS[:200]]
    rows = [*flipped, *ROWS[200:]]
    write(folder / "rows.csv", rows)
    assert run(folder, out="misled") == 0
    _write_with(folder, rows, ["1e-6"] * 200 + ["1,5"] * 200)
    assert run(folder, "--weights", "weight") == 0
    assert report(folder / "misled")["model"]["accuracy"] < 0.6
    assert report(folder / "out")["model"]["accuracy"] > 0.7
    assert report(folder / "out")["data"]["weights"] == "weight"


@pytest.mark.parametrize(
    ("weight", "shown"),
    [("", "''"), ("-1", "-1"), ("many", "many"), ("inf", "inf"), ("А939НО190", "[plate]")],
)
def test_a_weight_is_a_number_of_at_least_0(
    weight: str, shown: str, folder: Path, capsys: Captured
) -> None:
    _write_with(folder, ROWS, ["1"] * 7 + [weight, "x"] + ["1"] * 391)
    assert run(folder, "--weights", "weight") == 65
    error = capsys.readouterr().err
    assert mentions(error, "weight: 2 of 400 rows", "at least 0", f"first line 9: {shown}")


def test_rows_of_weight_0_do_not_count_but_some_must(folder: Path, capsys: Captured) -> None:
    flipped = [{**row, "label": 1 - row["label"]} for row in ROWS[:200]]
    _write_with(folder, [*flipped, *ROWS[200:]], ["0"] * 200 + ["1"] * 200)
    assert run(folder, "--weights", "weight") == 0
    assert report(folder / "out")["model"]["accuracy"] > 0.7
    for count, where in ((400, "weight: all weights"), (280, "among the train rows")):
        _write_with(folder, ROWS, ["0"] * count + ["1"] * (400 - count))
        assert run(folder, "--weights", "weight", out="none") == 65
        assert mentions(capsys.readouterr().err, where, "are 0")


@pytest.mark.parametrize("column", ["label", "direction"])
def test_no_other_column_is_one_of_weights(column: str, folder: Path, capsys: Captured) -> None:
    assert run(folder, "--weights", column) == 2
    assert f"--weights: {column} is a field" in capsys.readouterr().err


def test_the_final_fit_learns_from_all_rows(folder: Path) -> None:
    rows = [dict(row) for row in ROWS]
    for row in rows[340:]:
        row["camera_class"] = "Новая"
    write(folder / "rows.csv", rows)
    assert run(folder, out="measured") == 0
    assert run(folder, "--refit") == 0
    measured, result = report(folder / "measured"), report(folder / "out")
    assert (measured["refit"], result["refit"]) == (False, True)
    assert result["model"] == measured["model"]
    assert result["reliability"] == measured["reliability"]
    first, final = (RegnoScorer.load(folder / o / "regno.cbm") for o in ("measured", "out"))
    assert result["version"] == final.version != first.version
    assert first.manifest
    assert final.manifest
    assert "Новая" not in first.manifest.vocabularies["camera_class"]
    assert "Новая" in final.manifest.vocabularies["camera_class"]
    assert final.manifest.training["last"] == ROWS[-1]["time_check"]
    assert len(final.manifest.reference) == len(first.manifest.reference)
    assert scores(folder / "out/regno.cbm", rows) != scores(folder / "measured/regno.cbm", rows)


def test_rows_that_repeat_others_are_counted(folder: Path, capsys: Captured) -> None:
    rows = [*ROWS, *ROWS[:100], *({**row, "label": 1 - row["label"]} for row in ROWS[200:203])]
    write(folder / "rows.csv", rows)
    assert run(folder) == 0
    result, errors = report(folder / "out"), capsys.readouterr().err
    assert (result["repeated"], result["contradicting"]) == (100, 6)
    assert mentions(errors, "warning: 100 of 503 rows", "repeat")
    assert mentions(errors, "warning: 6 of 503 rows", "features", "time")


def test_seed_hash_commit_and_duration_are_recorded(folder: Path) -> None:
    assert run(folder, "--seed", 7) == 0
    result = report(folder / "out")
    scorer = RegnoScorer.load(folder / "out/regno.cbm")
    assert scorer.manifest
    training = scorer.manifest.training
    assert result["seed"] == training["seed"] == 7
    assert result["data"]["sha256"] == training["data"]["sha256"]
    assert result["commit"] == training["commit"]
    assert result["seconds"] == training["seconds"] > 0
    text = (folder / "out/REPORT.md").read_text(encoding="utf-8")
    assert f"Seed 7; {result['seconds']} s; code: " in text


@pytest.mark.parametrize("options", [(), ("--refit",), ("--without", "month")])
def test_traffic_of_later_months_is_served_where_unseen_values_are_rejected(
    options: tuple[str, ...],
    folder: Path,
    make_app: Callable[..., Any],
    key: dict[str, str],
    capsys: Captured,
) -> None:
    write(folder / "rows.csv", labelled(every=43_200))  # from March to September 2021
    assert run(folder, *options) == 0
    assert "month" not in capsys.readouterr().err
    scorer = RegnoScorer.load(folder / "out/regno.cbm", warm=True)
    client = make_app(scorer=scorer, unseen="reject").test_client()
    body = {name: value for name, value in ROWS[0].items() if name != "label"}
    present = client.post("/reg/", json={**body, "time_check": "2021-12-05 10:00:00"}, headers=key)
    assert present.status_code == 200
    assert "X-Score-Warnings" not in present.headers
    stranger = client.post("/reg/", json={**body, "camera_class": "Кордон"}, headers=key)
    assert stranger.status_code == 400
