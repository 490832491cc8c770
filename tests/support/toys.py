"""Small CatBoost models, trained in milliseconds, with any features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catboost import CatBoost, Pool

from model.regno import differences
from model.regno.request import from_fields
from tests.support.paths import GOLDEN, lines

NUMERIC_PAIR = ("hour", "afts_regno_ai_score")


def table(names: Sequence[str]) -> list[list[Any]]:
    """The golden features of these names, as rows; 0 for a name that is not a feature."""
    rows = [line["features"] | _differences(line["request"]) for line in lines(GOLDEN)]
    return [[_value(row.get(name, 0)) for name in names] for row in rows]


def _differences(request: dict[str, Any]) -> dict[str, Any]:
    """The features that the golden file does not have."""
    values = differences.of_reading(from_fields(**request))
    return dict(zip(differences.NAMES, values, strict=True))


def _value(value: object) -> object:
    return float("nan") if value is None else value


def pool(names: Sequence[str], cat: Sequence[str] = (), text: Sequence[str] = ()) -> Pool:
    """The golden rows, with a label that depends on the network's score."""
    scores = [line["features"]["afts_regno_ai_score"] for line in lines(GOLDEN)]
    return Pool(
        table(names),
        label=[int(score > 0.5) for score in scores],
        feature_names=list(names),
        cat_features=list(cat),
        text_features=list(text),
    )


def train(
    names: Sequence[str],
    *,
    cat: Sequence[str] = (),
    text: Sequence[str] = (),
    log_cout: object = None,
    **options: Any,
) -> CatBoost:
    """A model of a few trees; a binary classifier unless `options` say otherwise."""
    quick = {"loss_function": "Logloss", "iterations": 3, "depth": 3, "verbose": False}
    model = CatBoost({**quick, **options, "thread_count": 1, "allow_writing_files": False})
    return model.fit(pool(names, cat, text), log_cout=log_cout)


def classifier(
    negative: object, positive: object, names: Sequence[str] = NUMERIC_PAIR, **options: Any
) -> CatBoost:
    """One that learnt `positive` of rows with a network's score above one half, else `negative`.

    CatBoost keeps the order of `class_names`, if they are among the options.
    """
    scores = [line["features"]["afts_regno_ai_score"] for line in lines(GOLDEN)]
    labels = [positive if score > 0.5 else negative for score in scores]
    quick = {"loss_function": "Logloss", "iterations": 20, "depth": 3, "verbose": False}
    model = CatBoost({**quick, **options, "thread_count": 1, "allow_writing_files": False})
    return model.fit(Pool(table(names), labels, feature_names=list(names)))


def save(model: CatBoost, folder: Path, name: str = "toy.cbm") -> Path:
    """Write a model into a folder. Returns its path."""
    path = folder / name
    model.save_model(str(path))
    return path
