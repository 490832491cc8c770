"""Models: a request in, probabilities out; training, evaluation, and the versions of model files.

May import: stdlib, numpy, catboost, msgspec; pandas and pyarrow where whole tables are handled.
Never: flask, prometheus_client, sentry_sdk; the environment, but for MLflow's own variables.
One scorer is one folder (`model/regno/` first); no scorer imports another.
Importing anything here starts nothing and reads no file.
"""

from model.errors import (
    KINDS,
    DataRefused,
    ExplainerGone,
    InvalidRequest,
    ModelRefused,
    NoDecoder,
    NotExplained,
    NotUtf8,
    ScoringError,
    TooManyRows,
    Unexplainable,
    UnknownModel,
)
from model.names import PLATE, is_name, is_plate
from model.utf8 import body_text, is_array

__all__ = [
    "KINDS",
    "PLATE",
    "DataRefused",
    "ExplainerGone",
    "InvalidRequest",
    "ModelRefused",
    "NoDecoder",
    "NotExplained",
    "NotUtf8",
    "ScoringError",
    "TooManyRows",
    "Unexplainable",
    "UnknownModel",
    "body_text",
    "is_array",
    "is_name",
    "is_plate",
]
