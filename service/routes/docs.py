"""GET /openapi.json, and Swagger UI at /docs/ from the copy in its package: no CDN."""

import json

from flask import Blueprint, Response
from flask_swagger_ui import get_swaggerui_blueprint

from service.openapi import document
from service.settings import Settings


def blueprint(settings: Settings) -> Blueprint:
    """The document is made once; it does not change while the process lives."""
    routes = Blueprint("docs", __name__)
    text = json.dumps(document(settings.explain_rows), ensure_ascii=False)

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(text, content_type="application/json")

    ui = get_swaggerui_blueprint(
        "/docs", "/openapi.json", config={"app_name": "Plate scoring", "validatorUrl": None}
    )
    routes.register_blueprint(ui)
    return routes
