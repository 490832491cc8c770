"""/home: ask a model of pictures about a file or a URL, and see what was answered before."""

from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, request

from model import InvalidRequest
from service.http.errors import Refused
from service.images.history import Entry
from service.telemetry.record import record_of
from service.web import pages
from service.web.routes.home import HOME
from service.web.routes.pictures import (
    DIGITS,
    PHOTOS,
    PictureRoutes,
    known_queries,
    thresholds,
)
from service.web.sessions import Sessions
from service.web.uploads import Upload

PICTURES: Final = f"{HOME}/pictures"
# In the form, the query of the model of digits.
_DIGIT: Final = "digit"
_SHOWN: Final = 24


class Shown(NamedTuple):
    """An answer in words, how sure it is from 0 to 1, and the entry that it stands in."""

    words: str
    share: float
    share_of: str
    entry: Entry


class PicturePages:
    """The form, its answer, and the gallery."""

    def __init__(self, pictures: PictureRoutes) -> None:
        self._pictures = pictures
        self._installed = pictures.installed

    def start(self) -> Response:
        """The form, or the plates where there are no models of pictures."""
        if not self._installed:
            return Response(status=303, headers={"Location": f"{HOME}/plates"})
        return self.show()

    def show(self) -> Response:
        """The form."""
        return self._page({"query": _DIGIT})

    def ask(self) -> Response:
        """The form as it was sent, with the answer; with the fault if there is none."""
        try:
            upload = self._pictures.uploads.read("file", url="IMAGE_URL")
            entry = self._answered(upload)
        except InvalidRequest as fault:
            return self._page(request.form.to_dict(), 400, fault=str(fault))
        except Refused as fault:
            return self._page(request.form.to_dict(), fault.status, fault=fault.reason)
        return self._page(upload.fields, answer=_shown(entry))

    def _answered(self, upload: Upload) -> Entry:
        """The entry of the history with the answer. Raises InvalidRequest or Refused."""
        queries = known_queries()
        # Who sends an address alone asks as the form of the original did.
        query = upload.fields.get("query") or (queries or [_DIGIT])[0]
        if query == _DIGIT:
            return self._pictures.kept(DIGITS, upload)
        if query not in queries:
            raise Refused(404, f"query: only these are known: {', '.join((_DIGIT, *queries))}")
        return self._pictures.kept(PHOTOS, upload, str(query))

    def delete(self) -> Response:
        """Remove a picture, and show the others."""
        digest = pages.form_fields().get("digest", "")
        self._pictures.history.delete(record_of(request.environ).key_name, digest)
        return Response(status=303, headers={"Location": PICTURES})

    def _page(self, values: dict[str, Any], status: int = 200, **outcome: Any) -> Response:
        owner = record_of(request.environ).key_name
        newest = self._pictures.history.newest(owner, _SHOWN) if self._installed else []
        return pages.page(
            "pictures.html",
            status,
            installed=self._installed,
            queries=known_queries() if self._installed else [],
            takes_urls=self._pictures.uploads.takes_urls,
            values=values,
            gallery=list(map(_shown, newest)),
            **outcome,
        )


def blueprint(routes: PicturePages, sessions: Sessions) -> Blueprint:
    """The addresses; each needs a session, or a key."""
    pictures = pages.blueprint("picture_pages")
    sessions.protect(pictures)
    for path, view, method in (
        (HOME, routes.start, "GET"),
        (HOME, routes.ask, "POST"),
        (PICTURES, routes.show, "GET"),
        (f"{PICTURES}/delete", routes.delete, "POST"),
    ):
        pictures.add_url_rule(path, view.__name__, view, methods=[method])
    return pictures


def _shown(entry: Entry) -> Shown:
    score = entry.score
    if entry.model == DIGITS:
        return Shown(str(score["prediction"]), score["confidence"], "confidence", entry)
    thing = entry.query.rstrip("?")
    # Below its threshold a query is not denied: the picture may show one that is hard to see.
    words = f"Yes, a {thing}" if score["answer"] else f"Not recognised as a {thing}"
    share_of = f"probability of a {thing}"
    if threshold := thresholds().get(entry.query):
        share_of += f"; {100 * threshold:g}\u00a0% or more means yes"
    return Shown(words, score["positive"], share_of, entry)
