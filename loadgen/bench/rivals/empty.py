"""Flask and gunicorn's own threads, used in the usual way, around a route that scores nothing.

It is what an ordinary Flask route costs, not the least that is possible: the service itself goes
past Flask, and writes its replies as bytes.
"""

import gc
import hmac
import json

from flask import Flask, Response, request

_REPLY = json.dumps({"body": {"negative": 0.5, "positive": 0.5}, "status": "ok"})


def create_app(key: str) -> Flask:
    """An app that checks the key, decodes the JSON and gives a fixed reply."""
    app = Flask(__name__, static_folder=None)

    @app.post("/reg/")
    def reg() -> Response:
        if not hmac.compare_digest(request.headers.get("x-api-key", "").encode(), key.encode()):
            return Response(status=401)
        json.loads(request.get_data())
        return Response(_REPLY, content_type="application/json")

    gc.freeze()  # as the service does before it forks its workers
    return app
