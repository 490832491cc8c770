"""`pick_regno` as the data scientist calls it in a notebook."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from catboost import CatBoost
from pandas.api.extensions import ExtensionArray

from model.errors import ModelRefused
from model.registry.validation import check_model
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.request import Reading, from_fields
from model.regno.scorer import RegnoScorer
from model.request_decoder import invalid_request


def pick_regno(  # noqa: PLR0913, PLR0917 - the customer's signature
    camera_regno: str,
    nn_regno: str,
    camera_score: float | str,
    nn_score: float | str,
    nn_sym_scores: str | list[float],
    nn_len_scores: str | list[float],
    camera_type: str,
    camera_class: str,
    time_check: str,
    direction: int | str,
    model: RegnoScorer | CatBoost | str | Path,
    positive_class: str = "",
) -> dict[str, float]:
    """{"negative": …, "positive": …}: how probably the network's reading is the one to keep.

    `model` is a loaded RegnoScorer or CatBoost model, or the path of a .cbm file, which is
    then loaded for this one call. `positive_class` names the class of a CatBoost model or file
    that means that the network is right, where its classes are not 0 and 1 or their like. The
    rules of the HTTP body hold for all arguments; values of numpy and pandas are taken as what
    they hold.
    Raises InvalidRequest, naming the field, or ModelRefused.
    """
    fields = {
        "regno_recognize": camera_regno,
        "afts_regno_ai": nn_regno,
        "recognition_accuracy": camera_score,
        "afts_regno_ai_score": nn_score,
        "afts_regno_ai_char_scores": nn_sym_scores,
        "afts_regno_ai_length_scores": nn_len_scores,
        "camera_type": camera_type,
        "camera_class": camera_class,
        "time_check": time_check,
        "direction": direction,
    }
    score = scorer_of(model, _name(positive_class)).score([reading_of(fields)])[0]
    return msgspec.structs.asdict(score)


def reading_of(fields: Mapping[str, object]) -> Reading:
    """The reading of values by field, those of numpy and pandas as what they hold.

    Raises InvalidRequest, naming the field.
    """
    plain = {name: _plain(value) for name, value in fields.items()}
    try:
        return from_fields(**plain)
    except msgspec.ValidationError as error:
        raise invalid_request(error, plain.get) from error


def _plain(value: object) -> object:
    """Python's own value of what tables and arrays hold."""
    if isinstance(value, date | np.datetime64):
        return str(value)  # numpy's own `tolist` makes a number of nanoseconds
    if isinstance(value, np.generic | np.ndarray | pd.Series | pd.Index | ExtensionArray):
        value = value.tolist()
    if isinstance(value, set | frozenset):
        return None  # it has no order, and a list of scores has one
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return value


def _name(positive_class: object) -> str:
    if isinstance(positive_class, str):
        return positive_class
    given = type(positive_class).__name__
    raise ModelRefused(f"positive_class is the name of a class, a text such as '1', no {given}")


def scorer_of(model: RegnoScorer | CatBoost | str | Path, positive_class: str = "") -> RegnoScorer:
    """The scorer of a model: itself, of a CatBoost model, or of the .cbm file of a path.

    Raises ModelRefused.
    """
    if isinstance(model, CatBoost):
        return RegnoScorer(BinaryModel(model, positive_class=positive_class))
    if not isinstance(model, RegnoScorer):
        check_model(Path(model), positive_class)  # first: a crash would end the notebook
        return RegnoScorer.load(Path(model), positive_class)
    if positive_class not in ("", model.positive_class):
        raise ModelRefused(f"its positive_class is {model.positive_class}")
    return model
