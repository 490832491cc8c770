"""GET /openapi.json, and Swagger UI at /docs/ from the copy in its package: no CDN."""

import json
from typing import Any, Final

from flask import Blueprint, Response
from flask_swagger_ui import get_swaggerui_blueprint

# The page of the package has a script within it, and styles that its scripts make.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def blueprint(document: dict[str, Any]) -> Blueprint:
    """The document is encoded once; it does not change while the process lives."""
    routes = Blueprint("docs", __name__)
    text = json.dumps(document, ensure_ascii=False)

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(text, content_type="application/json")

    routes.register_blueprint(swagger_ui("/docs"))
    return routes


def swagger_ui(path: str) -> Blueprint:
    """Swagger UI at an address."""
    # Without an address for OAuth the package would make one of that Host.
    config = {"app_name": "Plate scoring", "validatorUrl": None, "oauth2RedirectUrl": None}
    ui: Blueprint = get_swaggerui_blueprint(
        path, "/openapi.json", config=config, blueprint_name=f"swagger{path.replace('/', '_')}"
    )

    @ui.get("")
    def to_slash() -> Response:
        # Flask's own redirect would repeat the Host that the client sent.
        return Response(status=308, headers={"Location": f"{path}/"})

    @ui.after_request
    def confine(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    return ui
