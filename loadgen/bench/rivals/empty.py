"""The service's own server and Flask, used in the usual way, around a route that scores nothing.

It is what an ordinary Flask route costs here, not the least that is possible: the service
itself goes past Flask's contexts and response objects. Its p99 shows what the service's
batcher prevents: a connection whose next request is there at once is served again and again.
"""

import gc
import hmac
import json

from flask import Flask, Response, request

_REPLY = json.dumps({"body": {"negative": 0.5, "positive": 0.5}, "status": "ok"})


class Everyone:
    """What the service's server asks about a request's first bytes: here all may come in."""

    def refusal(self, _data: bytes) -> None:
        """None: the request is to be parsed."""

    def tell(self, _log: object) -> None:
        """Nothing was refused."""


def create_app(key: str) -> Flask:
    """An app that checks the key, decodes the JSON and gives a fixed reply."""
    app = Flask(__name__, static_folder=None)
    app.extensions["glance"] = Everyone()

    @app.post("/reg/")
    def reg() -> Response:
        if not hmac.compare_digest(request.headers.get("x-api-key", "").encode(), key.encode()):
            return Response(status=401)
        json.loads(request.get_data())
        return Response(_REPLY, content_type="application/json")

    gc.freeze()  # as the service does before it forks its workers
    return app
