"""A `.cbm` file, loaded and checked. The only module of the serving path that imports CatBoost."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import numpy as np
import pandas as pd
from catboost import CatBoost, CatBoostError, Pool

from model import files
from model.errors import ModelRefused, NotExplained
from model.names import printable
from model.regno import differences
from model.regno.features import KINDS, Row
from model.regno.model_file.calibration import Calibration
from model.regno.model_file.classes import classes_of
from model.regno.model_file.outputs import output_of
from model.regno.score import Contributions

# CatBoost swaps process-wide log streams around every public predict. Two predicts at once
# race on them and leave lines such as `Object info sizes: 1 41` on stdout, where the logs
# are. So all models of a process share this lock: a server scores one batch at a time anyway, and
# files are scored by processes.
_one_predict_at_a_time: Final = threading.Lock()

# CatBoost takes whole numbers as categories, but no fractions.
_WHOLE: Final = frozenset(("direction", "ai_len", "cam_len", "hour", *differences.WHOLE))
_STRINGS: Final = frozenset(name for name, kind in KINDS.items() if kind != "numeric")
# So many unknown features a refusal names.
_NAMED: Final = 10
_MAGIC: Final = b"CBM1"


class BinaryModel:
    """A binary classifier with its declared features.

    `features` are (name, kind) pairs in the model's own order; `classes` says which class is
    positive; `sha256` is that of the file it came from, "" when it came from none.
    """

    def __init__(self, model: CatBoost, sha256: str = "", positive_class: str = "") -> None:
        """`positive_class` names the positive class where the class names do not show it.

        Raises ModelRefused, naming what is wrong.
        """
        if not model.is_fitted():
            raise ModelRefused("it is not trained")
        self.sha256 = sha256
        self._model = model
        with refusing("it can't be read"):
            names: Sequence[str] = model.feature_names_
            self.features = list(zip(names, _kinds(model, len(names)), strict=True))
            self._categorical: list[int] = model.get_cat_feature_indices()
            self._text: list[int] = model.get_text_feature_indices()
            self.classes = classes_of(model.classes_, positive_class)
            self._output = output_of(model)
        self._is_reversed = self.classes.positive_at == 0
        self._calibration: Calibration | None = None
        # Whether CatBoost's probabilities are returned as they are.
        self._is_plain = not self._is_reversed
        _check_kinds(self.features)

    @classmethod
    def parse(cls, blob: bytes, positive_class: str = "") -> "BinaryModel":
        """The model in the bytes of a .cbm file. Raises ModelRefused, naming what is wrong."""
        return cls(_parse(blob), hashlib.sha256(blob).hexdigest(), positive_class)

    @classmethod
    def load(cls, path: Path, positive_class: str = "") -> "BinaryModel":
        """The model in a .cbm file. Raises ModelRefused."""
        return cls.parse(read(path), positive_class)

    def calibrated(self, calibration: Calibration) -> "BinaryModel":
        """The same model with calibrated probabilities; its contributions stay as they are."""
        model = copy(self)
        vars(model).update(_calibration=calibration, _is_plain=False)
        return model

    def importances(self) -> dict[str, float]:
        """How much each feature moves the score, in per cent (PredictionValuesChange)."""
        values = self._model.get_feature_importance(thread_count=1)
        return {name: float(v) for (name, _), v in zip(self.features, values, strict=True)}

    def borders(self) -> dict[str, list[float]]:
        """For each numeric feature that any tree splits on, the values it is split at, rising."""
        borders: dict[int, list[float]] = self._model.get_borders()
        return {self.features[at][0]: list(values) for at, values in borders.items() if values}

    def export_json(self, path: Path) -> None:
        """Write the trees as CatBoost's JSON. Raises ModelRefused if they have no such form."""
        with refusing("it has no JSON", str(path)):
            self._model.save_model(str(path), format="json")

    def uses(self, feature: str) -> bool:
        """Whether any tree splits on a feature; True if the file does not show it."""
        try:
            return self.importances()[feature] > 0
        except CatBoostError:  # without the weights of its leaves
            return True

    def probabilities(self, rows: Sequence[Row]) -> list[list[float]]:
        """[negative, positive] for each row; rows are in the order of `features`."""
        pairs: list[list[float]] = self._predict(rows).tolist()
        return pairs

    def probabilities_of_table(self, table: pd.DataFrame) -> np.ndarray[Any, Any]:
        """[negative, positive] for each row of a table with the columns of `features`."""
        return self._predict(table)

    def check_names(self, row: Row) -> None:
        """Raises ModelRefused for a feature without a name, as far as a name may hide that.

        CatBoost calls such a one by its place, and the contract a digit's feature by the digit. It
        holds the names of a pool against those of the model, where this has one.
        """
        names = [name for name, _ in self.features]
        for place in [place for place, name in enumerate(names) if name == str(place)]:
            pool = self._pool([row], [*names[:place], "of another name", *names[place + 1 :]])
            try:
                with _one_predict_at_a_time:
                    self._model.predict(pool, thread_count=1)
            except CatBoostError:  # it has this name
                continue
            raise ModelRefused(f"its feature {place} has no name, so what it is is not known")

    def contributions(self, rows: Sequence[Row]) -> list[Contributions]:
        """SHAP values of each row; rows are in the order of `features`. Tens of ms a row.

        Raises NotExplained, which names the error only: its text may hold a plate.
        """
        try:
            with _one_predict_at_a_time:
                pool = self._pool(rows)
                raw = self._model.predict(pool, prediction_type="RawFormulaVal", thread_count=1)
                values = self._shap_values(pool)
        except Exception as error:
            name = type(error).__name__
            raise NotExplained(f"its contributions can't be worked out ({name})") from error
        positive_at = self.classes.positive_at
        parts = self._output.log_odds(values, positive_at).tolist()
        totals = self._output.log_odds(raw, positive_at).tolist()
        pairs = zip(parts, totals, strict=True)
        return [Contributions(row[-1], row[:-1], total) for row, total in pairs]

    def contributions_of_table(self, table: pd.DataFrame) -> np.ndarray[Any, Any]:
        """The SHAP values of each feature, in log-odds, shape (rows, features).

        `table` has the columns of `features`. Tens of ms a row. Raises CatBoostError.
        """
        with _one_predict_at_a_time:
            values = self._shap_values(self._pool(table))
        return np.asarray(self._output.log_odds(values, self.classes.positive_at)[:, :-1])

    def _shap_values(self, pool: Pool) -> np.ndarray[Any, Any]:
        """Shape (rows, features and base), or (rows, 2, features and base)."""
        _, scale, bias = self._output
        # CatBoost refuses a scale, or passes it over: it gets none, and the values are scaled.
        self._model.set_scale_and_bias(1.0, [0.0] * len(bias))
        try:
            # Named, as Auto changes sides with the number of rows: to prepare all leaves, which
            # the other mode does for each call, takes as long as a thousand rows.
            values: np.ndarray[Any, Any] = scale * self._model.get_feature_importance(
                pool, type="ShapValues", shap_mode="NoPreCalc", thread_count=1
            )
        finally:
            self._model.set_scale_and_bias(scale, bias)
        values[..., -1] += bias
        return values

    def _predict(self, rows: Sequence[Row] | pd.DataFrame) -> np.ndarray[Any, Any]:
        with _one_predict_at_a_time:
            scores: np.ndarray[Any, Any] = self._model.predict(
                self._pool(rows), prediction_type="Probability", thread_count=1
            )
        return scores if self._is_plain else self.finished(scores)

    def finished(self, scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """[negative, positive], calibrated, of CatBoost's probabilities of the two classes."""
        if self._is_reversed:
            scores = scores[:, ::-1]
        if self._calibration is None:
            return scores
        positive = self._calibration.apply(scores[:, 1])
        return np.column_stack((1 - positive, positive))

    def _pool(self, rows: Sequence[Row] | pd.DataFrame, names: Sequence[str] | None = None) -> Pool:
        # A Pool of our own: predict() on a bare list first walks it in Python, which
        # doubles the cost of a batch.
        return Pool(
            rows,
            cat_features=self._categorical,
            text_features=self._text,
            feature_names=names,
            thread_count=1,
        )


@contextmanager
def refusing(what: str, path: str = "") -> Iterator[None]:
    """Turn exceptions within the block into ModelRefused: `what` is wrong, and the reason.

    Except MemoryError, which depends on the process. `path` is that of a temporary copy: the
    reason does not name it.
    """
    try:
        yield
    except (ModelRefused, MemoryError):
        raise
    except CatBoostError as error:
        reason = str(error).replace(path, "the file") if path else str(error)
        raise ModelRefused(f"{what}: {reason}") from error
    except Exception as error:  # a damaged file may raise anything, and its text say anything
        raise ModelRefused(f"{what}: {type(error).__name__}") from error


def read(path: Path) -> bytes:
    """The bytes of a file. Raises ModelRefused."""
    try:
        return files.read(path)
    except OSError as error:
        raise ModelRefused(f"it can't be read: {error.strerror}") from error


def _parse(blob: bytes) -> CatBoost:
    if not blob:
        raise ModelRefused("it is empty")
    model = CatBoost()
    # From a file, though the bytes are here: CatBoost's loader of bytes reads past the end
    # of a truncated model and takes the process with it; its loader of files refuses one.
    try:
        with NamedTemporaryFile(suffix=".cbm") as copy:
            copy.write(blob)
            copy.flush()
            with refusing(f"it is not a CatBoost model{_other(blob)}", copy.name):
                model.load_model(copy.name)
    except OSError as error:
        raise ModelRefused(f"no temporary copy of it can be made: {error.strerror}") from error
    return model


def _other(blob: bytes) -> str:
    """What is wrong with the form of a file, "" if it begins as a .cbm file does."""
    return "" if blob.startswith(_MAGIC) else " in the form .cbm, which save_model writes"


def _kinds(model: CatBoost, count: int) -> list[str]:
    kinds = ["numeric"] * count
    indices: tuple[tuple[str, Callable[[], list[int]]], ...] = (
        ("categorical", model.get_cat_feature_indices),
        ("text", model.get_text_feature_indices),
        ("embedding", model.get_embedding_feature_indices),
    )
    for kind, get in indices:
        for index in get():
            kinds[index] = kind
    return kinds


def _check_kinds(features: list[tuple[str, str]]) -> None:
    """Each declared kind must be able to hold what the contract computes for that name."""
    names = [name for name, _ in features]
    if names == [str(place) for place in range(len(features))]:
        # CatBoost's stand-ins for missing names; taken at their word, they would be the
        # features of the digits 0, 1, 2, …
        raise ModelRefused("its features have no names, so what they are is not known")
    unknown = [printable(name) for name in names if name not in KINDS]
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        first = ", ".join(unknown[:_NAMED])
        raise ModelRefused(f"it uses unknown features: {first}{more}")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ModelRefused(f"it names features twice: {', '.join(repeated)}")
    able = {
        "numeric": KINDS.keys() - _STRINGS,
        "categorical": _STRINGS | _WHOLE,
        "text": _STRINGS,
    }
    for name, kind in features:
        if name not in able.get(kind, ()):
            raise ModelRefused(f"it declares {name} as {kind}, which its values are not")
