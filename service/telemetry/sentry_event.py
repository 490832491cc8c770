"""The contents of an error report: types and places, never texts or values.

The text of an exception may hold a plate, a local variable may hold a key. So a report is
built from what is known to be harmless, instead of being cleaned of what is known to be harmful.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from traceback import walk_tb
from types import FrameType
from typing import Any, Final

from model.redaction import redact
from service.telemetry.record import Record

# The parts of an event that may leave the process.
KEYS: Final = (
    *("event_id", "timestamp", "platform", "level", "release", "environment", "sdk"),
    *("transaction", "tags", "request", "exception"),
)
_WITHHELD: Final = "the text is withheld: it may hold personal data"
_FRAMES: Final = 50
_CAUSES: Final = 5
_OURS: Final = ("service", "model")


def report_of(error: BaseException, record: Record) -> Any:
    """The event for an error of the request with this record."""
    method = record.method if record.route else ""
    route = record.route or "unmatched"
    causes = [_described(cause) for cause in islice(_causes(error), _CAUSES)]
    return {
        "level": "error",
        "transaction": f"{method} {route}".strip(),
        "tags": {
            "request_id": record.request_id,
            "method": method,
            "route": route,
            "status": "500",
            "key": record.key_name,
            "model_version": record.model_version,
        },
        "request": {"method": method, "headers": _headers(record)},
        "exception": {"values": causes[::-1]},  # Sentry wants the oldest first
    }


def _headers(record: Record) -> dict[str, str]:
    """The one header that may be reported: how long the body is."""
    return {"Content-Length": str(record.body_bytes)} if record.body_bytes else {}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception, what caused it, what caused that; each once, circles end."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _described(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    frames = [_frame(frame, line) for frame, line in walk_tb(error.__traceback__)]
    return {
        "type": redact(kind.__name__),
        "module": redact(kind.__module__),
        "value": _WITHHELD,
        "stacktrace": {"frames": frames[-_FRAMES:]},
    }


def _frame(frame: FrameType, line: int) -> dict[str, Any]:
    module = str(frame.f_globals.get("__name__", ""))
    return {
        "filename": redact(_below_its_root(frame.f_code.co_filename)),
        "function": redact(frame.f_code.co_qualname),
        "module": redact(module),
        "lineno": line,
        "in_app": module.partition(".")[0] in _OURS,
    }


def _below_its_root(path: str) -> str:
    """The path from the folder that Python found it in: absolute install paths are not reported."""
    roots = [root for root in sys.path if root and path.startswith(f"{root.rstrip('/')}/")]
    return path.removeprefix(max(roots, key=len, default="")).lstrip("/")
