"""Replies to errors that are not a fault of the service."""

from typing import Final

from flask import request

from service.http import errors
from service.http.reply import Reply
from service.images.client import PicturesBusy, PicturesFailed, PicturesUnavailable
from service.images.history import HistoryUnavailable
from service.jobs.blobs import BlobsUnavailable
from service.jobs.records import Full, KeyReused, RecordsUnavailable
from service.jobs.service import StillAccepting
from service.telemetry.record import record_of
from service.web.readiness import NO_RECORDS

# Status and text.
REPLIES: Final[dict[type[Exception], tuple[int, str]]] = {
    KeyReused: (422, "Idempotency-Key: it was used for another request"),
    StillAccepting: (409, "Idempotency-Key: its request is still being accepted"),
    Full: (429, "the limit of waiting jobs is reached"),
    RecordsUnavailable: (503, NO_RECORDS),
    BlobsUnavailable: (503, "inputs and results can't be stored or read now"),
    PicturesBusy: (429, "as many pictures are in work as may be"),
    PicturesUnavailable: (503, "pictures can't be scored now"),
    PicturesFailed: (500, "the picture could not be scored"),
    HistoryUnavailable: (503, "the history of pictures can't be reached"),
}
_LATER: Final = (409, 429, 503)


def reply_to(error: Exception) -> Reply:
    """The reply to one of `REPLIES`."""
    status, text = REPLIES[type(error)]
    later = errors.retry_after() if status in _LATER else {}
    return errors.answer(errors.Refused(status, text, later), record_of(request.environ))
