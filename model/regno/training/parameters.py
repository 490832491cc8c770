"""The hyper-parameters of training on own rows: `training.toml`, typed and checked."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, inspect

from model.errors import ParametersRefused
from model.regno.dataset.split import SplitShares
from model.utf8 import file_text

PATH: Final = Path(__file__).parents[1] / "training.toml"
_MOST_SHARES: Final = 0.9
_UNKNOWN: Final = re.compile("unknown field `(.+)`")


class CatBoostParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """CatBoost's parameters under its own names, except for `threads`."""

    iterations: Annotated[int, Meta(ge=1, le=100_000)]
    early_stopping_rounds: Annotated[int, Meta(ge=1, le=100_000)]
    depth: Annotated[int, Meta(ge=1, le=16)]
    learning_rate: Annotated[float, Meta(gt=0, le=1)]
    l2_leaf_reg: Annotated[float, Meta(ge=0)]
    leaf_estimation_iterations: Annotated[int, Meta(ge=1, le=1000)]
    max_ctr_complexity: Annotated[int, Meta(ge=1, le=8)]
    threads: Annotated[int, Meta(ge=1, le=256)]


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    split: SplitShares
    catboost: CatBoostParameters


def load(path: Path | None = None) -> Parameters:
    """The parameters of `training.toml`, overridden by those of another file.

    Raises ParametersRefused, naming the file and the key.
    """
    tables = _merged(_read(PATH), _read(path)) if path else _read(PATH)
    try:
        parameters = msgspec.convert(tables, Parameters)
    except msgspec.ValidationError as error:
        raise ParametersRefused(f"{path or PATH} is refused: {_explain(str(error))}") from error
    if parameters.split.validation + parameters.split.held_out > _MOST_SHARES:
        raise ParametersRefused(
            f"{path or PATH} is refused: split: less than a tenth of the rows is left to train on"
        )
    return parameters


def _merged(usual: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Merge table by table. A value that is not a table stays, for validation to refuse."""
    merged = {**usual, **own}
    for name in usual.keys() & own.keys():
        if isinstance(own[name], dict):
            merged[name] = {**usual[name], **own[name]}
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file_text(path.read_bytes()))
    except OSError as error:
        raise ParametersRefused(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise ParametersRefused(f"{path} is no TOML: {error}") from error


def _explain(message: str) -> str:
    """msgspec's "reason - at `$.table.key`", turned into what is expected there."""
    reason, _, at = message.partition(" - at ")
    place = at.strip("`").removeprefix("$").removeprefix(".")
    wanted: inspect.Type = inspect.type_info(Parameters)
    for name in filter(None, place.split(".")):
        known = wanted.fields if isinstance(wanted, inspect.StructType) else ()
        wanted = next((field.type for field in known if field.name == name), inspect.AnyType())
    if isinstance(wanted, inspect.StructType) and (unknown := _UNKNOWN.search(reason)):
        reason = f"there is no {unknown[1]}, only {_names(wanted)}"
    else:
        reason = _expected(wanted, reason)
    return f"{place or 'the file'}: {reason}"


def _names(table: inspect.StructType) -> str:
    return ", ".join(field.name for field in table.fields)


def _expected(wanted: inspect.Type, reason: str) -> str:
    if isinstance(wanted, inspect.StructType):
        return f"must be a table of {_names(wanted)}"
    if not isinstance(wanted, inspect.IntType | inspect.FloatType):
        return reason
    kind = "a whole number" if isinstance(wanted, inspect.IntType) else "a number"
    bounds = {"above": wanted.gt, "at least": wanted.ge, "below": wanted.lt, "at most": wanted.le}
    known = [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
    return f"must be {kind} {' and '.join(known)}"
