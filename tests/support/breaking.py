"""The real app with ways to break it, for gunicorn: `… -- tests.support.breaking:app`.

Not for import: it builds the app.
Each breaks with a plate and a key in the exception's text, in its cause and in local variables.
"""

from asyncio import get_running_loop
from collections.abc import Iterator
from typing import Any, NoReturn

from flask import Response

from model.regno import RegnoScorer
from service.http.middleware import RequestMiddleware
from service.wsgi import app
from tests.support.planted import KEY, PLATE, POISON

__all__ = ["app"]


def fail() -> NoReturn:
    """Raise, with secrets wherever an exception can hold them."""
    plate, secrets = PLATE, {"x-api-key": KEY}
    error = RuntimeError(f"no score for {plate} of {secrets}")
    error.add_note(plate)
    raise error from ValueError(plate)


_whole_row, _whole_rows = RegnoScorer.row, RegnoScorer.rows


def _row(self: RegnoScorer, reading: Any) -> Any:
    return fail() if reading.camera_class == POISON else _whole_row(self, reading)


def _rows(self: RegnoScorer, readings: Any) -> Any:
    poisoned = any(reading.camera_class == POISON for reading in readings)
    return fail() if poisoned else _whole_rows(self, readings)


RegnoScorer.row = _row  # type: ignore[method-assign]
RegnoScorer.rows = _rows  # type: ignore[method-assign]

_whole = RequestMiddleware.__call__


def _call(self: RequestMiddleware, environ: Any, start: Any) -> Any:
    reply = _whole(self, environ, start)
    return fail() if environ["PATH_INFO"] == "/outside" else reply


RequestMiddleware.__call__ = _call  # type: ignore[method-assign]


@app.flask.get("/outside")
def outside() -> str:
    """Answer, and have the middleware fail."""
    return "well"


@app.flask.get("/midway")
def midway() -> Response:
    """Fail when the reply has begun."""

    def pieces() -> Iterator[bytes]:
        yield b"the beginning"
        fail()

    return Response(pieces())


@app.flask.get("/stray")
def stray() -> str:
    """Fail in a callback of the event loop."""
    get_running_loop().call_soon(fail)
    return "well"
