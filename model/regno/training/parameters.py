"""The hyper-parameters of training on own rows: `training.toml`, typed and checked."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from catboost import CatBoostClassifier, CatBoostError, Pool
from msgspec import Meta, Struct, inspect

from model.errors import ParametersRefused
from model.names import printable
from model.regno.dataset.split import SplitShares
from model.regno.features import SETS
from model.utf8 import file_text

PATH: Final = Path(__file__).parents[1] / "training.toml"
_MOST_SHARES: Final = 0.9
_UNKNOWN: Final = re.compile("unknown field `(.+)`")
# CatBoost's messages begin with a file and a line of its source.
_SOURCE: Final = re.compile(r"^(?:\S+\.(?:cpp|h):\d+: )?(?:Error: )?")

Positive: TypeAlias = Annotated[float, Meta(gt=0)]
NotNegative: TypeAlias = Annotated[float, Meta(ge=0)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=100_000)]
Fraction: TypeAlias = Annotated[float, Meta(gt=0, le=1)]


class CatBoostParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """CatBoost's parameters under its own names, except for `threads`.

    Those that are None have CatBoost's own default. `class_weights` are of the labels 0 and 1.
    """

    iterations: Count
    early_stopping_rounds: Count
    depth: Annotated[int, Meta(ge=1, le=16)]
    learning_rate: Fraction
    l2_leaf_reg: NotNegative
    leaf_estimation_iterations: Annotated[int, Meta(ge=1, le=1000)]
    max_ctr_complexity: Annotated[int, Meta(ge=1, le=8)]
    threads: Annotated[int, Meta(ge=1, le=256)]
    rsm: Fraction | None = None
    bootstrap_type: Literal["Bayesian", "Bernoulli", "MVS", "No"] | None = None
    subsample: Fraction | None = None
    bagging_temperature: NotNegative | None = None
    random_strength: NotNegative | None = None
    border_count: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    one_hot_max_size: Annotated[int, Meta(ge=1, le=255)] | None = None
    model_size_reg: NotNegative | None = None
    grow_policy: Literal["SymmetricTree", "Depthwise", "Lossguide"] | None = None
    min_data_in_leaf: Count | None = None
    max_leaves: Annotated[int, Meta(ge=2, le=64)] | None = None
    boosting_type: Literal["Plain", "Ordered"] | None = None
    score_function: Literal["Cosine", "L2", "NewtonCosine", "NewtonL2"] | None = None
    leaf_estimation_method: Literal["Newton", "Gradient"] | None = None
    class_weights: tuple[Positive, Positive] | None = None
    auto_class_weights: Literal["None", "Balanced", "SqrtBalanced"] | None = None

    def options(self) -> dict[str, Any]:
        """The parameters as CatBoost takes them, without those that have its default."""
        given = {k: v for k, v in msgspec.structs.asdict(self).items() if v is not None}
        return given | {"thread_count": given.pop("threads")}


class FeatureChoice(Struct, frozen=True, forbid_unknown_fields=True):
    """Which features a model is trained on: those of a set, but for those that `without` names."""

    set: Literal["v1", "v2", "v2-notext"] = "v1"
    without: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The chosen features, in the order of the set."""
        return [name for name in SETS[self.set] if name not in self.without]


Whole: TypeAlias = tuple[Annotated[int, Meta(ge=1)], Annotated[int, Meta(ge=1)]]
Real: TypeAlias = tuple[NotNegative, NotNegative]


class Ranges(Struct, frozen=True, forbid_unknown_fields=True):
    """The least and the greatest value of each parameter that --tune searches, both included.

    Two equal values fix a parameter.
    """

    learning_rate: Real
    depth: Whole
    l2_leaf_reg: Real
    random_strength: Real
    subsample: Real
    leaf_estimation_iterations: Whole


class Tune(Struct, frozen=True, forbid_unknown_fields=True):
    """The search of --tune: trials learn from the newest `rows` training rows, so many trees.

    Without `texts` they leave out the two texts, unless there is nothing else to learn from.
    """

    rows: Annotated[int, Meta(ge=100)]
    iterations: Count
    texts: bool
    ranges: Ranges


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    split: SplitShares
    catboost: CatBoostParameters
    tune: Tune
    features: FeatureChoice = FeatureChoice()


def load(
    path: Path | None = None, without: Sequence[str] = (), feature_set: str | None = None
) -> Parameters:
    """The parameters of `training.toml`, overridden by those of another file.

    `feature_set` overrides the set of features, and `without` names further ones to leave out.
    CatBoost tries the parameters on a few made-up rows, as some of them exclude others. Raises
    ParametersRefused, naming the file and the key.
    """
    tables = _merged(_read(PATH), _read(path)) if path else _read(PATH)
    if feature_set and isinstance(tables["features"], dict):
        tables["features"]["set"] = feature_set
    try:
        parameters = msgspec.convert(tables, Parameters)
    except msgspec.ValidationError as error:
        raise ParametersRefused(f"{path or PATH} is refused: {_explain(str(error))}") from error
    if parameters.split.validation + parameters.split.held_out > _MOST_SHARES:
        raise ParametersRefused(
            f"{path or PATH} is refused: split: less than a tenth of the rows is left to train on"
        )
    if fault := _wrong_options(parameters.catboost):
        raise ParametersRefused(f"{path or PATH} is refused: catboost: {fault}")
    if fault := _wrong_ranges(parameters):
        raise ParametersRefused(f"{path or PATH} is refused: tune.ranges: {fault}")
    chosen = parameters.features.set
    if fault := _wrong_features(parameters.features.without, chosen):
        raise ParametersRefused(f"{path or PATH} is refused: features.without: {fault}")
    if fault := _wrong_features(without, chosen):
        raise ParametersRefused(f"--without is refused: {fault}")
    left_out = FeatureChoice(chosen, tuple(dict.fromkeys((*parameters.features.without, *without))))
    if not left_out.names:
        raise ParametersRefused("all features are left out: nothing can be learnt")
    return msgspec.structs.replace(parameters, features=left_out)


def _wrong_options(catboost: CatBoostParameters) -> str:
    """Why CatBoost does not take these parameters together, "" if it does."""
    if catboost.min_data_in_leaf and catboost.grow_policy in (None, "SymmetricTree"):
        return "min_data_in_leaf works only with grow_policy Depthwise or Lossguide"
    options = {**catboost.options(), "iterations": 1, "thread_count": 1}
    rows = Pool([[at, at % 3, str(at % 2)] for at in range(16)], [0, 0, 1, 1] * 4, cat_features=[2])
    try:
        CatBoostClassifier(**options, allow_writing_files=False, verbose=False).fit(rows)
    except CatBoostError as error:
        return _SOURCE.sub("", str(error))
    return ""


def _wrong_ranges(parameters: Parameters) -> str:
    """Which range is none, or has an end that CatBoost can't be given; "" if all are fine."""
    for name, (low, high) in msgspec.structs.asdict(parameters.tune.ranges).items():
        if low > high:
            return f"{name}: {low} is above {high}"
        for value in (low, high):
            changed = msgspec.structs.replace(parameters.catboost, **{name: value})
            try:
                msgspec.convert(msgspec.to_builtins(changed), CatBoostParameters)
            except msgspec.ValidationError as error:
                return _explain(str(error).replace("$.", "$.catboost.")).removeprefix("catboost.")
    return ""


def _wrong_features(without: Sequence[str], chosen: str) -> str:
    """Which of some names is not a feature of the chosen set, "" if all are."""
    for name in without:
        if name not in SETS[chosen]:
            those = f"those of set {chosen}: {', '.join(SETS[chosen])}"
            return f"there is no feature {printable(name)}, only {those}"
    return ""


def _merged(usual: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Merge table by table. A value that is not a table stays, for validation to refuse."""
    merged = {**usual, **own}
    for name in usual.keys() & own.keys():
        if isinstance(own[name], dict) and isinstance(usual[name], dict):
            merged[name] = _merged(usual[name], own[name])
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file_text(path.read_bytes()))
    except OSError as error:
        raise ParametersRefused(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise ParametersRefused(f"{path} is not TOML: {error}") from error


def _explain(message: str) -> str:
    """msgspec's "reason - at `$.table.key`", turned into what is expected there."""
    reason, _, at = message.partition(" - at ")
    place = at.strip("`").removeprefix("$").removeprefix(".")
    wanted: inspect.Type = inspect.type_info(Parameters)
    for name in filter(None, place.split(".")):
        known = wanted.fields if isinstance(wanted, inspect.StructType) else ()
        wanted = next((field.type for field in known if field.name == name), inspect.AnyType())
        if isinstance(wanted, inspect.UnionType):  # of a type and None, which TOML does not have
            wanted = wanted.types[0]
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
    if isinstance(wanted, inspect.VarTupleType):
        return "must be a list of texts"
    if isinstance(wanted, inspect.TupleType):
        return f"must be a list of {len(wanted.item_types)} numbers, of the kind and size it takes"
    if isinstance(wanted, inspect.LiteralType):
        return f"must be one of {', '.join(map(str, wanted.values))}"
    if not isinstance(wanted, inspect.IntType | inspect.FloatType):
        return reason
    kind = "a whole number" if isinstance(wanted, inspect.IntType) else "a number"
    bounds = {"above": wanted.gt, "at least": wanted.ge, "below": wanted.lt, "at most": wanted.le}
    known = [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
    return f"must be {kind} {' and '.join(known)}"
