"""The real app with ways to break it, for gunicorn: `… -- tests.support.breaking:app`.

Not for import: it builds the app.
Each breaks with a plate and a key in the exception's text, in its cause and in local variables.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

import gevent
from flask import Response

from model.regno import RegnoScorer
from service.door import Door
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

_whole_door = Door.__call__


def _call(self: Door, environ: Any, start: Any) -> Any:
    reply = _whole_door(self, environ, start)
    return fail() if environ["PATH_INFO"] == "/outside" else reply


Door.__call__ = _call  # type: ignore[method-assign]


@app.get("/outside")
def outside() -> str:
    """Answer, and have the door fail."""
    return "well"


@app.get("/midway")
def midway() -> Response:
    """Fail when the reply has begun."""

    def pieces() -> Iterator[bytes]:
        yield b"the beginning"
        fail()

    return Response(pieces())


@app.get("/stray")
def stray() -> str:
    """Fail in a greenlet that nobody waits for."""
    gevent.spawn(fail)
    gevent.sleep(0.01)
    return "well"
