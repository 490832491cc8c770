"""GET /openapi.json, and Swagger UI at /docs/ from the copy in its package: no CDN."""

import json
from collections.abc import Sequence

from flask import Blueprint, Response
from flask_swagger_ui import get_swaggerui_blueprint

from model.scorer import Model
from service.config.settings import Settings
from service.routes.openapi import document


def blueprint(settings: Settings, others: Sequence[Model]) -> Blueprint:
    """The document is made once; it does not change while the process lives."""
    routes = Blueprint("docs", __name__)
    text = json.dumps(document(settings.explain_rows, others), ensure_ascii=False)

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(text, content_type="application/json")

    @routes.get("/docs")
    def docs() -> Response:
        # Flask's own redirect to the slash would repeat the Host that the client sent.
        return Response(status=308, headers={"Location": "/docs/"})

    # Without an address for OAuth the package would make one of that Host.
    config = {"app_name": "Plate scoring", "validatorUrl": None, "oauth2RedirectUrl": None}
    routes.register_blueprint(get_swaggerui_blueprint("/docs", "/openapi.json", config=config))
    return routes
