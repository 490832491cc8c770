"""The log: one line for each request, and gunicorn's own lines in the same form, on stdout.

The access line is written by the server after the reply is sent, not by a view. It tells
of the request only what `service.record` holds: no body, no header but the request id.
"""

import logging
import os
import select
import sys
from contextlib import suppress
from time import time
from typing import Any, Final

from gunicorn.glogging import Logger
from msgspec import UNSET

from service.log_forms import Access, Form, HumanForm, JsonForm, timestamp
from service.record import ENVIRON_KEY, Record, method_of
from service.settings import Settings, of_this_server
from service.turns import EndOfTurn

_HASHES: Final = 1 << 32
_NAMES: Final = {logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}


class Lines(logging.Handler):
    """Writes lines to a file descriptor, each in one piece: workers share it and must not mix."""

    def __init__(self, descriptor: int, form: Form) -> None:
        super().__init__()
        self.form = form
        self._descriptor = descriptor
        self._waiting: list[bytes] = []
        self._turn = EndOfTurn(self.flush)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message."""
        self.flush()
        self._write(self.form.message(record))

    def write_soon(self, line: bytes) -> None:
        """Write a line before the event loop's turn ends, together with others of the turn."""
        if not self._waiting:
            self._turn.wait()
        self._waiting.append(line)

    def flush(self) -> None:
        """Write the lines that wait, as many at once as a pipe takes in one piece."""
        waiting, self._waiting = self._waiting, []
        piece = b""
        for line in waiting:
            if len(piece) + len(line) > select.PIPE_BUF:
                self._write(piece)
                piece = b""
            piece += line
        if piece:
            self._write(piece)

    def _write(self, lines: bytes) -> None:
        # A log that nobody takes must not end the request that it tells of.
        with suppress(OSError):
            os.write(self._descriptor, lines)


class ServerLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with this project's form."""

    def setup(self, cfg: Any) -> None:
        """Send gunicorn's error log, and what libraries warn of, to stdout."""
        super().setup(cfg)
        settings = of_this_server()
        self._access_to_stdout = self.access_log_enabled
        self.lines = lines_of(settings, sys.stdout.fileno())
        self.share = settings.log_sample
        self.error_log.handlers = [self.lines]
        logging.getLogger().handlers = [self.lines]
        logging.getLogger("scoring").setLevel(self.error_log.level)

    def access(self, resp: Any, req: Any, environ: Any, request_time: float) -> None:
        """Write one request's line. `req` is unused: it holds what must not be logged.

        `request_time` is in seconds; gunicorn's own workers would give a timedelta.
        """
        record: Record | None = environ.get(ENVIRON_KEY)
        if record is None or not self._access_to_stdout:
            return
        status = getattr(resp, "status_code", 500)  # unset when the app never answered
        level = _level(status, record)
        if not self.error_log.isEnabledFor(level):
            return
        common = status < 300 and level == logging.INFO
        if common and not self._is_of_the_sample(record.request_id):
            return
        line = Access(
            timestamp(time()),
            _NAMES[level],
            "access",
            record.request_id,
            method_of(environ),
            record.route,
            status,
            request_time * 1e3,
            record.key_name,
            record.model_version,
            record.rows,
            list(record.warnings),
            self.share if common and self.share < 1 else UNSET,
        )
        self.lines.write_soon(self.lines.form.access(line))

    def _is_of_the_sample(self, request_id: str) -> bool:
        """Whether a line is kept: by a hash of the id, so that a retry shares its fate.

        Python's own hash is keyed anew at each start: nobody can choose an id that stays unseen.
        """
        return self.share == 1 or hash(request_id) % _HASHES < self.share * _HASHES


def lines_of(settings: Settings, descriptor: int) -> Lines:
    """Lines in the form that the settings ask for."""
    terminal = os.isatty(descriptor)
    human = settings.log_form == "human" or (settings.log_form == "auto" and terminal)
    return Lines(descriptor, HumanForm(colour=terminal) if human else JsonForm())


def _level(status: int, record: Record) -> int:
    if status >= 500:
        return logging.ERROR
    return logging.WARNING if status >= 400 or record.warnings else logging.INFO
