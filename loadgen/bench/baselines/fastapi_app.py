"""The usual stack: FastAPI, pydantic, CatBoost, the model loaded once by each worker.

The route and the check of the key are coroutines: FastAPI would run plain functions in a thread
pool, which costs more than the prediction's few hundred microseconds.
"""

import hmac
import os
from datetime import datetime
from typing import Annotated, Final

from catboost import CatBoostClassifier
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Json

from loadgen.bench.baselines.features import features

# uvicorn passes only the environment to its workers.
_KEY: Final = os.environ["BASELINE_KEY"].encode()  # noqa: TID251
_MODEL: Final = CatBoostClassifier().load_model(os.environ["BASELINE_MODEL"])  # noqa: TID251
_NAMES: Final[list[str]] = _MODEL.feature_names_


class Request(BaseModel):
    """The ten fields; the lists as lists or as JSON text."""

    regno_recognize: str
    afts_regno_ai: str
    recognition_accuracy: float
    afts_regno_ai_score: float
    afts_regno_ai_char_scores: Json[list[float]] | list[float]
    afts_regno_ai_length_scores: Json[list[float]] | list[float]
    camera_type: str
    camera_class: str
    time_check: datetime
    direction: int


class Score(BaseModel):
    """The two probabilities."""

    negative: float
    positive: float


class Reply(BaseModel):
    """The envelope of a score."""

    body: Score
    status: str = "ok"


async def check_key(x_api_key: Annotated[str, Header()] = "") -> None:
    """Reject a request without the right key."""
    if not hmac.compare_digest(x_api_key.encode(), _KEY):
        raise HTTPException(401)


app = FastAPI()


@app.post("/reg/", dependencies=[Depends(check_key)])
async def reg(request: Request) -> Reply:
    """Score one reading."""
    values = features(request)
    row = [values[name] for name in _NAMES]
    negative, positive = _MODEL.predict_proba([row], thread_count=1)[0]
    return Reply(body=Score(negative=negative, positive=positive))
