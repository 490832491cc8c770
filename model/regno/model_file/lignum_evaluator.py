"""pylignum as the evaluator of a model without texts: the scores of CatBoost, to the last bit.

CatBoost builds a Pool for each call, which takes longer than its trees; pylignum takes the rows as
they are. A model selects it by `evaluator` in its manifest. It is used only if the package is
installed (the extra `lignum`) and a trial at load gives the same bits as CatBoost; otherwise
CatBoost evaluates the model.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from model.errors import ModelRefused
from model.regno.features import KINDS, Row
from model.regno.model_file.catboost_file import BinaryModel

NAME: Final = "lignum"
_TRIAL_ROWS: Final = 10_000
# What is raised for a model that has no JSON or that pylignum can't read, and by a broken package.
_FAILURES: Final = (
    ModelRefused,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
# Categories that no training rows have, in scripts of all widths; and those of whole numbers.
_STRANGE: Final = ("", " ", "length", "7", "АА", "А77", "Ж\u0306", "😀🚗", "x" * 200)
_WHOLE: Final = tuple(range(-1, 40))


class LignumEvaluator:
    """Evaluates rows by pylignum; made by `certified`."""

    def __init__(self, model: BinaryModel, trees: Any) -> None:
        """`model` is the one whose scores it gives; `trees` are a loaded `lignum.Model`."""
        self._model = model
        self._trees = trees

    def probabilities(self, rows: Sequence[Row]) -> list[list[float]]:
        """[negative, positive] for each row; rows are in the order of the model's features."""
        # Serially, as a process scores one batch at a time and others have the other cores.
        second = self._trees.predict(list(rows), n_jobs=1, strategy="serial")
        pairs = self._model.finished(np.column_stack((1 - second, second)))
        listed: list[list[float]] = pairs.tolist()
        return listed


def certified(model: BinaryModel, golden: Sequence[Row]) -> tuple[LignumEvaluator | None, str]:
    """The evaluator of a model, None if CatBoost has to evaluate it; and why, "" for an evaluator.

    The trial rows are the golden ones, one by one and together, and 10,000 random ones: values of
    the golden rows, the borders of the trees and their neighbours, strange categories.
    """
    if find_spec(NAME) is None:
        return None, "pylignum is not installed: pip install 'plate-scoring[lignum]'"
    if any(kind == "text" for _, kind in model.features):
        return None, "the model has text features, which pylignum does not read"
    try:
        evaluator = LignumEvaluator(model, _loaded(model))
        if _differ(model, evaluator, golden):
            return None, "pylignum does not give the same bits as CatBoost"
    except _FAILURES as error:
        return None, f"pylignum can't evaluate the model ({type(error).__name__})"
    return evaluator, ""


def _loaded(model: BinaryModel) -> Any:
    import lignum  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra

    with TemporaryDirectory(prefix="lignum-") as folder:
        path = Path(folder) / "model.json"
        model.export_json(path)
        return lignum.load(str(path), format="catboost")


def _differ(model: BinaryModel, evaluator: LignumEvaluator, golden: Sequence[Row]) -> bool:
    rows = [*golden, *_trial_rows(model, golden)]
    alone = [evaluator.probabilities([row])[0] for row in golden]
    expected = model.probabilities(rows)
    return evaluator.probabilities(rows) != expected or alone != expected[: len(golden)]


def _trial_rows(model: BinaryModel, golden: Sequence[Row]) -> list[Row]:
    random = np.random.default_rng(0)
    borders = model.borders()
    columns = []
    for (name, kind), seen in zip(model.features, zip(*golden, strict=True), strict=True):
        near = [np.nextafter(np.float32(b), to) for b in borders.get(name, ()) for to in (-9, 9)]
        if kind == "numeric":
            values = [*seen, *borders.get(name, ()), *map(float, near), -1.0, 0.0, 1.0, inf]
        else:
            values = [*seen, *(_WHOLE if KINDS[name] == "numeric" else _STRANGE)]
        columns.append([values[at] for at in random.integers(len(values), size=_TRIAL_ROWS)])
    return list(zip(*columns, strict=True))
