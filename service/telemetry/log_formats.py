"""How a line of the log looks: JSON for machines, columns for a person at a terminal.

Both forms keep a record on one line of at most PIPE_BUF bytes, so that the lines of many
workers on one pipe never mix, and let no control character through to a terminal.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from select import PIPE_BUF
from typing import Final, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from model.redaction import redact

# Longer messages are cut to so many characters, which fit even when all of them are escaped.
_CUT: Final = 300
_COLOURS: Final[Mapping[str, str]] = {"warning": "\x1b[33m", "error": "\x1b[31m"}
_PLAIN: Final = "\x1b[0m"

_compact = json.JSONEncoder(separators=(",", ":")).encode


class Access(Struct, gc=False):
    """One answered request. `sampled` is there when lines like it are left out: their share."""

    time: str
    level: str
    logger: str
    request_id: str
    method: str
    route: str
    status: int
    ms: float
    key: str
    model_version: str
    rows: int
    warnings: tuple[str, ...]
    sampled: float | UnsetType = UNSET


class Form(Protocol):
    """Makes lines, with their ends."""

    def access(self, lines: Sequence[Access]) -> bytes:
        """The lines of answered requests."""

    def message(self, record: logging.LogRecord) -> bytes:
        """The line of a message of the server or a library."""


class JsonForm:
    """One JSON object a line."""

    def __init__(self) -> None:
        self._encode_lines = msgspec.json.Encoder().encode_lines

    def access(self, lines: Sequence[Access]) -> bytes:
        """The lines of answered requests; their texts were checked, and need no escapes."""
        return self._encode_lines(lines)

    def message(self, record: logging.LogRecord) -> bytes:
        """ASCII only: some readers take U+2028 and others for the end of a line."""
        line = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": sanitized(record),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
        text = _compact(line)
        if len(text) >= PIPE_BUF:
            text = _compact({**line, "message": line["message"][:_CUT] + "…"})
        return f"{text}\n".encode()


class HumanForm:
    """Columns: time in UTC, level, and the request or the message."""

    def __init__(self, *, colour: bool) -> None:
        self._colours = _COLOURS if colour else {}

    def access(self, lines: Sequence[Access]) -> bytes:
        """The lines of answered requests; those above info end with the request's id."""
        return b"".join(map(self._access, lines))

    def _access(self, line: Access) -> bytes:
        text = (
            f"{line.method:<7} {line.route:<12} {line.status} {line.ms:>9.3f} ms "
            f"{line.rows:>5} rows  {line.key or '-':<12} {' '.join(line.warnings)}"
        )
        if line.level != "info":
            text = f"{text.rstrip()}  {line.request_id}"
        return self._line(line.time, line.level, text)

    def message(self, record: logging.LogRecord) -> bytes:
        """The line of a message; an exception is shown by its type."""
        text = f"{record.name}: {sanitized(record)}"
        if record.exc_info and record.exc_info[0]:
            text = f"{text}: {record.exc_info[0].__name__}"
        return self._line(timestamp(record.created), record.levelname.lower(), text)

    def _line(self, time: str, level: str, text: str) -> bytes:
        clock = time.partition("T")[2].rstrip("Z")
        colour = self._colours.get(level, "")
        shown = _printable(text).rstrip()
        if len(shown.encode()) > PIPE_BUF // 2:
            shown = shown[:_CUT] + "…"
        return f"{colour}{clock} {level:<8} {shown}{_PLAIN if colour else ''}\n".encode()


def sanitized(record: logging.LogRecord) -> str:
    """A message without the texts of exceptions and without plates."""
    if isinstance(record.args, tuple):
        record.args = tuple(_without_text(value) for value in record.args)
    try:
        text = record.getMessage()
    except (TypeError, ValueError):  # a library's slip must not raise where it logs
        text = str(record.msg)
    return redact(text)


def timestamp(moment: float) -> str:
    """ISO 8601 in UTC with milliseconds, of seconds since the epoch."""
    return _to_the_millisecond(int(moment * 1000))


# Busy workers answer several requests a millisecond.
@lru_cache(maxsize=1)
def _to_the_millisecond(moment: int) -> str:
    second, millisecond = divmod(moment, 1000)
    return f"{_to_the_second(second)}.{millisecond:03}Z"


@lru_cache(maxsize=1)
def _to_the_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _without_text(value: object) -> object:
    """gunicorn logs its exceptions whole, and some hold what the client sent."""
    return type(value).__name__ if isinstance(value, BaseException) else value


def _printable(text: str) -> str:
    """What would move the cursor, colour the screen or turn the writing is escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
