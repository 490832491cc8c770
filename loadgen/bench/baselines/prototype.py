"""The simplest way: Flask, with the model loaded and a DataFrame built for each request."""

from typing import Any

import pandas as pd
from catboost import CatBoostClassifier
from flask import Flask, abort, request

from loadgen.bench.baselines.features import features, reading_of


def create_app(key: str, model_path: str) -> Flask:
    """An app that scores with the model file's current content."""
    app = Flask(__name__)

    @app.post("/reg/")
    def reg() -> dict[str, Any]:
        if request.headers.get("x-api-key") != key:
            abort(401)
        values = features(reading_of(request.get_json()))
        model = CatBoostClassifier()
        model.load_model(model_path)
        table = pd.DataFrame([values])[model.feature_names_]
        negative, positive = model.predict_proba(table)[0]
        return {"body": {"negative": negative, "positive": positive}, "status": "ok"}

    return app
