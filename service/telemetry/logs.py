"""The log: one line for each request, and gunicorn's own lines in the same form, on stdout.

The access line is written by the server after the reply is sent, not by a view. It holds of the
request only what `service.telemetry.record` does: no body, no header but the request id.
"""

import logging
import sys
from collections.abc import Iterable
from time import time
from typing import Final

from gunicorn.config import Config
from gunicorn.glogging import Logger
from msgspec import UNSET

from service.runtime import runtime
from service.telemetry.log_formats import Access, timestamp
from service.telemetry.log_lines import lines_of
from service.telemetry.record import Record

_HASHES: Final = 1 << 32
_REJECTED: Final = 429
_REJECTIONS_A_SECOND: Final = 10
_NAMES: Final = {logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}


class ServerLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with this project's form."""

    def setup(self, cfg: Config) -> None:
        """Send gunicorn's error log, and what libraries warn of, to stdout."""
        super().setup(cfg)
        for replaced in self.error_log.handlers:  # at a reload, those of before too
            replaced.close()
        settings = runtime().settings
        self._access_to_stdout = self.access_log_enabled
        self._rejected = self._unreported = 0
        self.lines = lines_of(settings, sys.stdout.fileno())
        self.share = settings.log_sample
        self._least_level = self.error_log.level
        self.error_log.handlers = [self.lines]
        logging.getLogger().handlers = [self.lines]
        logging.getLogger("scoring").setLevel(self.error_log.level)

    def access(self, *_: object) -> None:
        """Write nothing: the lines of gunicorn's own workers hold personal data."""

    def answered(self, records: Iterable[Record]) -> None:
        """Write the lines of requests that have just been answered."""
        if not self._access_to_stdout:
            return
        now, lines = timestamp(time()), []
        for record in records:
            is_common = record.status < 300 and not record.warnings
            level = logging.INFO if is_common else _level(record)
            if level < self._least_level:
                continue
            if is_common and self.share < 1 and not self._is_of_the_sample(record.request_id):
                continue
            if record.status == _REJECTED and self._is_one_of_many():
                continue
            line = Access(
                time=now,
                level=_NAMES[level],
                logger="access",
                request_id=record.request_id,
                method=record.method,
                route=record.route,
                status=record.status,
                ms=record.seconds * 1e3,
                key=record.key_name,
                model_version=record.model_version,
                rows=record.rows,
                warnings=record.warnings,
                sampled=self.share if is_common and self.share < 1 else UNSET,
            )
            lines.append(line)
        if lines:
            self.lines.write(self.lines.form.access(lines))

    def tick(self) -> int:
        """Once a second: write waiting lines, and log how many lines were left out or dropped.

        Returns how many have been dropped since the last call.
        """
        rejected, self._rejected = self._rejected - _REJECTIONS_A_SECOND, 0
        if rejected > 0:
            self.warning("%d more requests were rejected with 429", rejected)
        self.lines.flush()
        dropped, self.lines.dropped = self.lines.dropped, 0
        self._unreported += dropped
        if self._unreported and self.lines.is_read:
            self.warning(
                "%d log lines were dropped: their reader was stopped or too slow", self._unreported
            )
            self._unreported = 0
        return dropped

    def _is_one_of_many(self) -> bool:
        """Whether more were rejected in this second than get a line each."""
        self._rejected += 1
        return self._rejected > _REJECTIONS_A_SECOND

    def _is_of_the_sample(self, request_id: str) -> bool:
        """Whether a line is kept: by a hash of the id, so that a retry is treated alike.

        Python's own hash is keyed anew at each start: no id can be chosen that is never logged.
        """
        return hash(request_id) % _HASHES < self.share * _HASHES


def _level(record: Record) -> int:
    if record.status >= 500:
        return logging.ERROR
    return logging.WARNING if record.status >= 400 or record.warnings else logging.INFO
