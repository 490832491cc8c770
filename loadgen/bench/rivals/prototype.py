"""The first way that comes to mind: Flask, the model read from disk and a DataFrame each time."""

import json
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pandas as pd
from catboost import CatBoostClassifier
from flask import Flask, abort, request

from loadgen.bench.rivals.features import features


def create_app(key: str, model_path: str) -> Flask:
    """An app that scores with whatever model the file holds at that moment."""
    app = Flask(__name__)

    @app.post("/reg/")
    def reg() -> dict[str, Any]:
        if request.headers.get("x-api-key") != key:
            abort(401)
        values = features(_reading(request.get_json()))
        model = CatBoostClassifier()
        model.load_model(model_path)
        table = pd.DataFrame([values])[model.feature_names_]
        negative, positive = model.predict_proba(table)[0]
        return {"body": {"negative": negative, "positive": positive}, "status": "ok"}

    return app


def _reading(fields: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(
        **{
            **fields,
            "afts_regno_ai_char_scores": json.loads(fields["afts_regno_ai_char_scores"]),
            "afts_regno_ai_length_scores": json.loads(fields["afts_regno_ai_length_scores"]),
            "time_check": datetime.fromisoformat(fields["time_check"]),
        }
    )
