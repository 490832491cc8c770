"""The hyper-parameters: what stands in the file is used, what is misspelt is refused."""

from pathlib import Path

import msgspec
import pytest

from model.errors import ParametersRefused
from model.regno.training import parameters
from model.regno.training.parameters import CatBoostParameters
from tests.support.labelled import labelled, run, write
from tests.support.messages import mentions, states

_KEYS = ", ".join(CatBoostParameters.__struct_fields__)
_TABLES = "split, catboost, tune, features"
_WHOLE = ("whole number", "at least 1", "at most 16")


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[catboost]\ndepth = 5\n", encoding="utf-8")
    usual, result = parameters.load(), parameters.load(own)
    assert result.catboost.depth == 5
    assert msgspec.structs.replace(result.catboost, depth=usual.catboost.depth) == usual.catboost
    assert result.split == usual.split


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("[catboost]\niteration = 5\n", ("catboost: ", "no iteration", _KEYS)),
        ("[forest]\ndepth = 5\n", ("no forest", _TABLES)),
        ("depth = 5\n", ("no depth", _TABLES)),
        ("[catboost]\nrsm = 0\n", ("catboost.rsm: ", "number above 0", "at most 1")),
        (
            "[catboost]\nbootstrap_type = 'MSV'\n",
            ("catboost.bootstrap_type: ", "Bayesian, Bernoulli, MVS, No"),
        ),
        ("[catboost]\nclass_weights = [1]\n", ("catboost.class_weights: ", "2 numbers")),
        ("[catboost]\nmax_leaves = 9\n", ("catboost: ", "max_leaves", "lossguide")),
        ("[catboost]\nmin_data_in_leaf = 9\n", ("catboost: ", "min_data_in_leaf")),
        ("[tune]\nrows = 5\n", ("tune.rows: ", "whole number", "100")),
        ("[tune.ranges]\ndepth = [8, 4]\n", ("tune.ranges: depth: ", "8", "4")),
        ("[tune.ranges]\ndepth = [4, 17]\n", ("tune.ranges: depth: ", "whole number", "16")),
        ("[tune.ranges]\ndepth = 4\n", ("tune.ranges.depth: ", "2 numbers")),
        ("[tune.ranges]\nrsm = [0.5, 1]\n", ("tune.ranges: ", "no rsm", "learning_rate")),
        ("[features]\nwithout = 'month'\n", ("features.without: ", "list of texts")),
        ("[features]\nwithout = ['mont']\n", ("features.without: ", "no feature mont", "month")),
        ("[split]\ntest = 0.2\n", ("split: ", "no test", "validation, held_out")),
        ("catboost = 5\n", ("catboost: ", "table", _KEYS)),
        ("[catboost]\ndepth = '5'\n", ("catboost.depth: ", *_WHOLE)),
        ("[catboost]\ndepth = 17\n", ("catboost.depth: ", *_WHOLE)),
        ("[catboost]\ndepth = 5.5\n", ("catboost.depth: ", *_WHOLE)),
        ("[catboost]\nlearning_rate = 0.0\n", ("catboost.learning_rate: ", "number above 0")),
        ("[catboost]\nl2_leaf_reg = nan\n", ("catboost.l2_leaf_reg: ", "number", "0")),
        ("[split]\nheld_out = 0.0\n", ("split.held_out: ", "at least 0.01")),
        ("[split]\nheld_out = 0.5\nvalidation = 0.45\n", ("tenth of the rows",)),
        ("[catboost\n", ("not TOML",)),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, facts: tuple[str, ...]) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(ParametersRefused) as refused:
        parameters.load(own)
    assert states(str(refused.value), str(own), *facts)


def test_the_usual_parameters_of_catboost_are_known(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        "[catboost]\nrsm = 0.8\nbootstrap_type = 'Bernoulli'\nsubsample = 0.7\n"
        "random_strength = 2\nborder_count = 64\none_hot_max_size = 4\nmodel_size_reg = 0.1\n"
        "grow_policy = 'Lossguide'\nmin_data_in_leaf = 5\nmax_leaves = 16\n"
        "score_function = 'L2'\nleaf_estimation_method = 'Gradient'\nboosting_type = 'Plain'\n"
        "class_weights = [1, 2.5]\nbagging_temperature = 1\n",
        encoding="utf-8",
    )
    with pytest.raises(ParametersRefused, match="bagging temperature"):
        parameters.load(own)
    own.write_text(own.read_text("utf-8").replace("bagging_temperature = 1\n", ""), "utf-8")
    assert (
        parameters.load(own).catboost.options().items()
        >= {
            "rsm": 0.8,
            "subsample": 0.7,
            "min_data_in_leaf": 5,
            "class_weights": (1.0, 2.5),
            "thread_count": parameters.load().catboost.threads,
        }.items()
    )


def test_one_mark_of_utf8_is_passed_over(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[catboost]\ndepth = 5\n", encoding="utf-8-sig")
    assert parameters.load(own).catboost.depth == 5


@pytest.mark.parametrize(
    ("encoding", "facts"),
    [("utf-16", ("UTF-16", "UTF-8")), ("utf-16-be", ("UTF-16", "UTF-8")), ("cp1251", ("UTF-8",))],
)
def test_another_encoding_is_named(encoding: str, facts: tuple[str, ...], tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[catboost]  # глубина\ndepth = 5\n", encoding=encoding)
    with pytest.raises(ParametersRefused) as refused:
        parameters.load(own)
    assert states(str(refused.value), f"{own} ", "not TOML", *facts)


def test_the_command_stops_before_it_reads_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.toml").write_text("[catboost]\nlearning_rte = 1\n", encoding="utf-8")
    assert run(tmp_path) == 78
    assert mentions(capsys.readouterr().err, "no learning_rte", "learning_rate")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]
    (tmp_path / "tiny.toml").unlink()
    assert run(tmp_path, "--parameters", tmp_path / "none.toml") == 78
    assert "none.toml: No such file or directory" in capsys.readouterr().err


def test_rows_in_utf16_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = write(tmp_path / "rows.csv", labelled(3)).read_text(encoding="utf-8")
    (tmp_path / "rows.csv").write_text(text, encoding="utf-16-le")
    assert run(tmp_path) == 65
    errors = capsys.readouterr().err
    assert "utf-16-le" in errors
    assert mentions(errors, "refused", "3 good rows")
