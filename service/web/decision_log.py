"""The decision log for requests: opened by the keys that may, locked for a limited time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from typing import Final

from model.redaction import may_be_plate
from service.config.settings import Settings, variable
from service.decisions.log import Busy, Damaged, DecisionLog, Forgotten, Unknown
from service.decisions.merkle.note import BadNote
from service.decisions.merkle.tiles import DamagedTile
from service.decisions.store import UNUSABLE, Row
from service.http import errors
from service.http.errors import Refused

# The sink keeps the log locked while it takes in what the spool has.
_LOCK_SECONDS: Final = 2.0
_BUSY: Final = "the decision log is in use by another process"

log = logging.getLogger("scoring")


class ReviewedLog:
    """Opens the decision log for the keys in `SCORING_REVIEWERS`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Threads are left for other requests.
        self._places = BoundedSemaphore(max(1, settings.web_threads // 4))

    def check(self, key: str) -> None:
        """Raise Refused unless there is a log, and this key may see its decisions."""
        if not self._settings.decisions_dir:
            raise Refused(501, f"there is no decision log: set {variable('decisions_dir')}")
        if key not in self._settings.reviewer_names:
            raise Refused(403, f"{variable('reviewers')} does not name this key")

    @contextmanager
    def opened(self) -> Iterator[DecisionLog]:
        """The log, for one request. Raises Refused when it can't be used, and while it is busy."""
        if not self._places.acquire(blocking=False):
            raise Refused(503, _BUSY, errors.retry_after())
        try:
            # A connection to SQLite belongs to one thread.
            opened = DecisionLog(Path(self._settings.decisions_dir))
            try:
                yield opened
            finally:
                opened.close()
        except Busy:
            raise Refused(503, _BUSY, errors.retry_after()) from None
        except UNUSABLE as error:
            log.warning("The decision log can't be used: %s", error)
            raise Refused(503, "the decision log can't be used now", errors.retry_after()) from None
        except (DamagedTile, BadNote, Damaged) as error:
            log.error("The decision log is damaged: %s", error)  # noqa: TRY400
            raise Refused(500, "the decision log is damaged") from None
        finally:
            self._places.release()

    @contextmanager
    def changing(self) -> Iterator[DecisionLog]:
        """The same, locked for changes."""
        with self.opened() as opened, opened.locked(_LOCK_SECONDS):
            yield opened

    @staticmethod
    def note_access(opened: DecisionLog, key: str, row: Row) -> None:
        """Keep who has seen an entry. Raises Busy."""
        with opened.locked(_LOCK_SECONDS):
            opened.note("access", key=key, index=str(row.entry))


def found(opened: DecisionLog, request_id: str, row: int) -> tuple[Row, bytes]:
    """A decision and its canonical bytes. Raises Refused."""
    # No request has such an id.
    if may_be_plate(request_id):
        raise Refused(404, "there is no such decision")
    try:
        entry = opened.find(f"{request_id}:{row}")
        return entry, opened.canonical(entry)
    except Unknown:
        raise Refused(404, f"{request_id}:{row}: there is no such decision") from None
    except Forgotten:
        raise Refused(410, f"{request_id}:{row}: the decision was forgotten") from None
