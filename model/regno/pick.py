"""`pick_regno` as the data scientist calls it in a notebook."""

from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from catboost import CatBoost

from model.registry.examination import check_model
from model.regno.catboost_file import BinaryModel
from model.regno.request import from_fields
from model.regno.scorer import RegnoScorer
from model.wire import explain


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
) -> dict[str, float]:
    """{"negative": …, "positive": …}: how probably the network's reading is the one to keep.

    `model` is a loaded RegnoScorer or CatBoost model, or the path of a .cbm file, which is
    then loaded for this one call. The rules of the HTTP body hold for all arguments; values
    of numpy and pandas are taken as what they hold.
    Raises InvalidRequest, naming the field, or ModelRefused.
    """
    fields = _plainly(
        regno_recognize=camera_regno,
        afts_regno_ai=nn_regno,
        recognition_accuracy=camera_score,
        afts_regno_ai_score=nn_score,
        afts_regno_ai_char_scores=nn_sym_scores,
        afts_regno_ai_length_scores=nn_len_scores,
        camera_type=camera_type,
        camera_class=camera_class,
        time_check=time_check,
        direction=direction,
    )
    try:
        reading = from_fields(**fields)
    except msgspec.ValidationError as error:
        raise explain(error, fields.get) from error
    return msgspec.structs.asdict(_scorer(model).score([reading])[0])


def _plainly(**fields: object) -> dict[str, object]:
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: object) -> object:
    """Python's own value of what tables and arrays hold."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value


def _scorer(model: RegnoScorer | CatBoost | str | Path) -> RegnoScorer:
    if isinstance(model, RegnoScorer):
        return model
    if isinstance(model, CatBoost):
        return RegnoScorer(BinaryModel(model))
    check_model(Path(model))  # first: a crash would end the notebook
    return RegnoScorer.load(Path(model))
