"""What the manifest of a plate model states."""

import platform
from importlib.metadata import version
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from model.drift.counter import Variable
from model.regno.model_file.calibration import Calibration

# Of the lengths 0 to 10.
USUAL_LENGTHS: Final = 11


class Feature(Struct):
    """One declared feature: `kind` is numeric, categorical or text."""

    name: str
    kind: str


class OwnThresholds(Struct, frozen=True):
    """Thresholds of decisions that risk control found on labelled rows, so many.

    With the confidence at most the shares `max_camera_error` and `max_network_error` of the
    automatic decisions of either side are wrong.
    """

    camera: float
    network: float
    max_camera_error: float
    max_network_error: float
    confidence: float
    rows: int


class Manifest(Struct):
    """What is known about a model.

    `vocabularies` holds, for each categorical feature, the values seen in training;
    `golden` the positive probabilities of the golden requests, in their order; `reference`
    how the held-out rows are distributed, for drift; `borders` where the trees split each
    numeric feature; `plate_lengths` for how many plate lengths, from 0 on, the network has a
    confidence. `classes` are the names of the model's two classes in its own order, and
    `positive_class` the one that means that the network is right; older manifests lack both.
    `thresholds` are those of decisions, if the model has its own.
    `unexplained` is why contributions can't be worked out, "" if they can, None if not known.
    `calibration` is what is done to the model's probabilities before they are served.
    `evaluator` is what computes them: CatBoost, or pylignum where `lignum_evaluator` allows it.
    For a model that came without a manifest, training and metrics are empty.
    """

    name: str
    version: str
    file: str
    sha256: str
    features: list[Feature]
    vocabularies: dict[str, list[str]]
    golden: list[float]
    training: dict[str, Any]
    libraries: dict[str, str]
    metrics: dict[str, Any]
    reference: list[Variable] = []
    borders: dict[str, list[float]] = {}
    classes: list[str] = []
    positive_class: str = ""
    unexplained: str | None = None
    plate_lengths: Annotated[int, Meta(ge=1)] = USUAL_LENGTHS
    calibration: Calibration | None = None
    evaluator: Literal["catboost", "lignum"] = "catboost"
    thresholds: OwnThresholds | None = None


def libraries() -> dict[str, str]:
    """The versions that a model is made with."""
    versions = {name: version(name) for name in ("catboost", "numpy")}
    return {"python": platform.python_version(), **versions}
