"""Log lines: JSON, one a line, on stdout. gunicorn's own lines have the same form.

The access line is written by the server after the reply is sent, not by a view. It tells
of the request only what `service.record` holds: no body, no header but the request id.
"""

import logging
import sys
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import time
from typing import Any

import msgspec
from gunicorn.glogging import Logger

from service.record import ENVIRON_KEY, Record

_encode = msgspec.json.Encoder().encode


class JsonFormatter(logging.Formatter):
    """A log record as one JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end. Exceptions are told by type: texts may hold plates."""
        if isinstance(record.args, tuple):
            record.args = tuple(_without_text(value) for value in record.args)
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
        return _encode(line).decode()


class JsonLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with this project's form."""

    def setup(self, cfg: Any) -> None:
        """Send gunicorn's error log to stdout as JSON too."""
        super().setup(cfg)
        self._access_to_stdout = self.access_log_enabled
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonFormatter())
        self.error_log.handlers = [handler]

    def access(self, resp: Any, req: Any, environ: Any, request_time: timedelta) -> None:
        """Write one request's line. `req` is unused: it holds what must not be logged."""
        record: Record | None = environ.get(ENVIRON_KEY)
        if record is None or not self._access_to_stdout:
            return
        status = getattr(resp, "status_code", 500)  # unset when the app never answered
        level = logging.INFO if status < 500 else logging.ERROR
        if not self.error_log.isEnabledFor(level):
            return
        line = {
            "time": _timestamp(time()),
            "level": logging.getLevelName(level).lower(),
            "logger": "access",
            "request_id": record.request_id,
            "method": environ["REQUEST_METHOD"],
            "route": record.route,
            "status": status,
            "ms": round(request_time.total_seconds() * 1e3, 3),
            "key": record.key_name,
            "model_version": record.model_version,
            "rows": record.rows,
            "warnings": list(record.warnings),
        }
        sys.stdout.write(_encode(line).decode() + "\n")
        sys.stdout.flush()


def _without_text(value: object) -> object:
    """gunicorn logs its exceptions whole, and some hold what the client sent."""
    return type(value).__name__ if isinstance(value, BaseException) else value


def _timestamp(moment: float) -> str:
    """ISO 8601 in UTC with milliseconds."""
    second, fraction = divmod(moment, 1)
    return f"{_to_the_second(int(second))}.{int(fraction * 1000):03}Z"


@lru_cache(maxsize=1)
def _to_the_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
