"""/digits/classify, /v1/inference, /query and /uploads: pictures over HTTP.

Addresses, fields and success replies are those of callers that exist; errors are this service's.
"""

import re
from time import time
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, request

from model import catalog
from service.http import reply
from service.http.errors import Refused
from service.http.query import wants_details
from service.http.reply import Reply
from service.images.client import Pictures
from service.images.history import Entry, History, New
from service.images.messages import Answer, Task
from service.telemetry.record import record_of
from service.web.sessions import Sessions
from service.web.uploads import Upload, Uploads

DIGITS: Final = "digits"
PHOTOS: Final = "imagenet"
ADDRESSES: Final = {DIGITS: "/digits/classify", PHOTOS: "/query"}
MOST_LISTED: Final = 1000
USUALLY_LISTED: Final = 100
GREATEST_AFTER: Final = 10**17
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
# A stored picture is data of a caller: it may do nothing even if a browser opens it by itself.
_OF_PICTURES: Final = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Each time it is asked whether the picture is still there, and still this caller's.
    "Cache-Control": "private, no-cache",
}


class PictureRoutes:
    """Reads pictures, has them scored, and keeps what is to be kept."""

    def __init__(
        self, pictures: Pictures, uploads: Uploads, history: History, *, installed: bool
    ) -> None:
        """`installed`: the extra `images` is."""
        self.installed = installed
        self.uploads = uploads
        self.history = history
        self._pictures = pictures

    def classify(self) -> Any:
        """201 and the digit, as `"[5]"`; with `?detail=1` confidence and the best three."""
        upload = self.uploads.read("file", "image", "file_name", path="image_path")
        answer = self._answer(DIGITS, upload)
        if wants_details(request.query_string.decode("latin-1")):
            shown = reply.ok(_without_probabilities(answer.score))
            shown.status = 201
            return shown
        return _bare(f"[{answer.score['prediction']}]", 201)

    def infer(self) -> Any:
        """The digit of the file in the field `file_name`; it is kept in the history."""
        upload = self.uploads.read("file_name")
        return _bare(_inference(self.kept(DIGITS, upload)))

    def inferences(self) -> Any:
        """The history of digits of this key, oldest first; `Link` leads to the next page."""
        owner, limit, after = record_of(request.environ).key_name, _limit(), _after()
        found = self.history.page(owner, DIGITS, after, limit + 1)
        shown = found[:limit]
        response = _bare(list(map(_inference, shown)))
        if len(found) > limit:
            following = f"/v1/inference?after={shown[-1].id}&limit={limit}"
            response.headers["Link"] = f'<{following}>; rel="next"'
        return response

    def ask(self) -> Any:
        """The answer to a query about a picture, in the field `image` or by `image_url`."""
        upload = self.uploads.read("image", "file", url="image_url")
        query = _known(upload.fields.get("query"))
        score = self._answer(PHOTOS, upload, query).score
        return reply.ok(
            {
                "query": query,
                "answer": score["answer"],
                "probability": score["positive"],
                "top": score["top"],
            }
        )

    @staticmethod
    def queries() -> Reply:
        """What can be asked."""
        return reply.ok({"queries": list(known_queries())})

    def show(self, digest: str) -> Any:
        """A picture of the history as a PNG file, without what else was in the file sent."""
        owner = record_of(request.environ).key_name
        png = self.history.picture(owner, digest) if _DIGEST.fullmatch(digest) else None
        if png is None:
            raise Refused(404, "there is no such picture of this key")
        headers = {**_OF_PICTURES, "Content-Disposition": f'inline; filename="{digest[:12]}.png"'}
        response = Response(png, content_type="image/png", headers=headers)
        response.set_etag(digest)
        return response.make_conditional(request)

    def delete(self, digest: str) -> Any:
        """Remove a picture, and what the history has of it."""
        owner = record_of(request.environ).key_name
        if not _DIGEST.fullmatch(digest) or not self.history.delete(owner, digest):
            raise Refused(404, "there is no such picture of this key")
        return reply.ok("deleted")

    def kept(self, model: str, upload: Upload, query: str = "") -> Entry:
        """The entry of the history with the answer to a picture."""
        answer = self._answer(model, upload, query, keep=True)
        owner, score = record_of(request.environ).key_name, _without_probabilities(answer.score)
        new = New(owner, model, query, answer.version, score, answer.png, time())
        return self.history.add(new)

    def _answer(self, model: str, upload: Upload, query: str = "", *, keep: bool = False) -> Answer:
        if not self.installed or model not in catalog.entries():
            raise Refused(501, "no models of pictures are installed: they need the extra images")
        answer = self._pictures.score(Task(model, upload.picture, query, keep))
        record = record_of(request.environ)
        record.model_version, record.rows = answer.version, 1
        return answer


def blueprint(routes: PictureRoutes, sessions: Sessions) -> Blueprint:
    """The addresses; each needs a key or a session."""
    pictures = Blueprint("pictures", __name__)
    sessions.protect(pictures)
    rules: tuple[tuple[str, Any, str], ...] = (
        ("/digits/classify", routes.classify, "POST"),
        ("/v1/inference", routes.infer, "POST"),
        ("/v1/inference", routes.inferences, "GET"),
        ("/query", routes.ask, "POST"),
        ("/query", routes.queries, "GET"),
        ("/uploads/<digest>.png", routes.show, "GET"),
        ("/uploads/<digest>.png", routes.delete, "DELETE"),
    )
    for path, view, method in rules:
        pictures.add_url_rule(path, view.__name__, view, methods=[method])
    return pictures


def known_queries() -> list[str]:
    """The names of the queries."""
    return list(thresholds())


def thresholds() -> dict[str, float]:
    """The queries, each with the probability from which on its answer is yes."""
    if PHOTOS not in catalog.entries():
        return {}
    model: Any = catalog.entry(PHOTOS).load()
    return {name: query.threshold for name, query in model.queries().items()}


def _known(query: object) -> str:
    known = known_queries()
    if query is None or query == "":
        raise Refused(400, f"query: must be one of {', '.join(known)}")
    if query not in known:
        raise Refused(404, f"query: only these are known: {', '.join(known)}")
    return str(query)


def _inference(entry: Entry) -> dict[str, Any]:
    score = entry.score
    return {
        "img_url": entry.url,
        "prediction": score["prediction"],
        "confidence": score["confidence"],
    }


def _without_probabilities(score: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in score.items() if name != "probabilities"}


def _bare(value: object, status: int = 200) -> Response:
    """JSON without the envelope, as existing callers expect it."""
    return Response(msgspec.json.encode(value), status, content_type="application/json")


def _limit() -> int:
    text = request.args.get("limit", str(USUALLY_LISTED))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST_LISTED):
        raise Refused(400, f"limit: must be a whole number, 1 to {MOST_LISTED}")
    return int(text)


def _after() -> int:
    text = request.args.get("after", "0")
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= GREATEST_AFTER):
        raise Refused(400, "after: must be the one that a `Link` names")
    return int(text)
