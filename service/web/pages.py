"""What all pages have: templates, headers that confine them, and errors that are pages too."""

from typing import Any, Final

import msgspec
from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from model import InvalidRequest
from service.http import errors
from service.http.errors import Refused
from service.http.reply import Envelope, Reply
from service.telemetry.record import record_of
from service.web.error_replies import REPLIES, reply_to
from service.web.sessions import OVER

# Nothing but this server's own files and forms: no script or style within a page, no frame.
# `blob:` is for the preview of a file that was not sent yet.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SIGN_IN: Final = "entry.sign_in"
# A form has a few fields of text; files go to routes of their own.
FORM_BYTES: Final = 64 * 1024


def blueprint(name: str) -> Blueprint:
    """A blueprint for pages."""
    pages = Blueprint(name, __name__, template_folder="templates")
    pages.after_request(_confine)
    for kind in (InvalidRequest, Refused, HTTPException, 500):
        pages.register_error_handler(kind, _refused)
    for error in REPLIES:
        pages.register_error_handler(error, lambda raised: _page_of(reply_to(raised)))
    return pages


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A template as a reply; what it shows is for this caller only."""
    caller = record_of(request.environ).key_name
    response = make_response(render_template(template, caller=caller, **values), status)
    response.headers["Cache-Control"] = "no-store"
    return response


def form_fields() -> dict[str, str]:
    """The fields of the form that was sent. Raises Refused with 413."""
    request.max_content_length = FORM_BYTES
    return request.form.to_dict()


def _confine(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _refused(error: Exception) -> Response:
    if isinstance(error, Refused) and error.status == 401:
        return page("sign_in.html", 401, reason=_not_signed_in(error))
    if isinstance(error, HTTPException) and (status := error.code or 500) < 500:
        return page("error.html", status, reason=error.name.lower())
    cause = getattr(error, "original_exception", None) or error
    return _page_of(errors.answer(cause, record_of(request.environ)))


def _not_signed_in(refused: Refused) -> str:
    """Why the form to sign in is shown: nothing, for a browser that comes for the first time."""
    if request.method != "POST" and not request.cookies:
        return ""
    if request.endpoint == SIGN_IN or "x-api-key" in request.headers:
        return refused.reason
    return OVER


def _page_of(reply: Reply) -> Response:
    """The page that says what an error reply says."""
    said = msgspec.json.decode(reply.body, type=Envelope)
    return page("error.html", reply.status, reason=said.body)
