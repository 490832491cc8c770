"""Recorder: a worker's decisions on their way to its segment of the spool.

Rows gather in a list, which is sealed and written once in an iteration of the event loop, in one
call; replies wait for it. A killed worker loses what it had scored in that iteration, and nobody
has a reply to; a power loss costs what was not synchronised yet, about a second. For a spool that
can't be written or is full there is a policy: rows are scored and are missing in the log
(`best-effort`), or requests are rejected (`required`).
"""

from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import random
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Raw

from model.scorer import Decisions, Model, ScoredRow
from service.config.settings import Settings
from service.decisions.decision import Decision, Entry, Event, encode
from service.decisions.in_force import changes, settings_in_force
from service.decisions.sealing import month_of, salts, seal
from service.decisions.secrets import Secrets
from service.decisions.segments import Frame, SegmentWriter, framed, segments
from service.telemetry.failures import log_failure
from service.telemetry.metrics.decisions import DecisionMetrics

if TYPE_CHECKING:
    from service.telemetry.record import Record

SPOOL: Final = "spool"
SECRETS: Final = "secrets"
REQUIRED: Final = "required"
# A segment is closed at this size or age, so that the sink can remove it.
_SEGMENT_BYTES: Final = 16 << 20
_SEGMENT_SECONDS: Final = 60.0
# Rows that wait in a worker whose spool can't be written.
_MOST: Final = 5_000


class Served(Protocol):
    """The version of a model that scored."""

    version: str
    scorer: Any


class Recorder:
    """The decisions and events of one worker."""

    def __init__(
        self,
        model: Model,
        settings: Settings,
        decisions: Callable[[Any], Decisions | None],
        metrics: DecisionMetrics,
        code: str,
    ) -> None:
        """`decisions` are those of a scorer; `code` is the version of this program.

        `generation`, of the registry's aliases, is set by what follows them.
        """
        self._model = model
        self._settings = settings
        self._folder = Path(settings.decisions_dir) / SPOOL
        self._secrets = Secrets(Path(settings.decisions_dir) / SECRETS)
        self._most_bytes = settings.decisions_spool_mb << 20
        self._probability = settings.decisions_audit
        self._policy = settings.decisions
        self._costs = dict(settings.costs)
        self._decisions = decisions
        self._metrics = metrics
        self._code = code
        # The first one is drawn after the fork: two workers must not have the same.
        self._salts = salts()
        self._entries: list[Entry] = []
        self._frames: list[bytes] = []
        self._replies: list[Callable[[bool], None]] = []
        self._dropped = 0
        self._scheduled = self._full = self._failing = False
        self._segment: SegmentWriter | None = None
        self._opened = 0.0
        self._thread: ThreadPoolExecutor | None = None
        self._syncing: Future[None] | None = None
        self._month = ("", b"")
        self._of: tuple[object, dict[str, float], Decisions | None] = (None, {}, None)
        self.generation = 0

    @property
    def refuses(self) -> bool:
        """Whether requests are to be rejected, since their decisions could not be kept."""
        return (self._full or self._failing) and self._policy == REQUIRED

    @property
    def may_reply(self) -> bool:
        """Whether rows that were offered may be replied to, once there was a try to write them."""
        return not self._failing or self._policy != REQUIRED

    def offer(self, record: "Record", live: Served, scored: ScoredRow) -> None:
        """Keep the decision on a row of a request."""
        # Where all are required, admitted requests may exceed the bounds; no other is admitted.
        if self._policy != REQUIRED and (self._full or self._waiting >= _MOST):
            self._dropped += 1
            return
        limits, decided = self._decided(live)
        positive = scored.score.positive
        self._add(
            Decision(
                record.request_id,
                scored.row,
                time(),
                record.key_name,
                self._model.name,
                live.version,
                live.scorer.sha256,
                self._code,
                self.generation,
                Raw(self._model.json_of(scored.request)),
                positive,
                decided.decide(positive) if decided else "",
                limits,
                self._costs,
                scored.warnings,
                self._policy,
                self._probability,
                random() < self._probability,  # noqa: S311 - drawn, and no secret
                scored.features,
            )
        )

    def started(self, live: Served) -> None:
        """Keep that this worker started, with what is in force, and what has changed before."""
        in_force = settings_in_force(self._settings)
        try:
            changed = changes(self._folder.parent, in_force)
        except OSError as error:
            log_failure("the settings in force of the decisions", error)
            changed = []
        for change in changed:
            self.note("change", **change._asdict())
        self.note("start", **self._served(live), code=self._code, **in_force)

    def swapped(self, former: Served, live: Served) -> None:
        """Keep that another version serves."""
        self.note("swap", former=former.version, **self._served(live))

    def note(self, kind: str, **data: str) -> None:
        """Keep an event. A text that is no Unicode, as a file's name may be, is made some."""
        texts = {name: text.encode(errors="replace").decode() for name, text in data.items()}
        self._add(Event(time(), kind, texts))

    def when_written(self, reply: Callable[[bool], None]) -> None:
        """Call `reply` when what was offered until now is written, or can't be.

        It is given whether the rows may be replied to. It must not raise.
        """
        if self._scheduled:
            self._replies.append(reply)
        else:
            reply(self.may_reply)

    def flush(self) -> None:
        """Write what waits, and have the rows replied to."""
        self._scheduled = False
        try:
            if self._waiting or self._failing:
                self._write()
                self._failing = False
        except OSError as error:
            self._fails(error)
        replies, self._replies = self._replies, []
        may_reply = self.may_reply
        for reply in replies:
            reply(may_reply)

    def publish(self) -> None:
        """Once a second: count, try again what could not be written, synchronise, measure."""
        self.flush()
        self._metrics.dropped(self._dropped)
        self._dropped = 0
        size = sum(_size(path) for path in segments(self._folder))
        self._full = size > self._most_bytes
        self._metrics.spooled(size)
        if self._is_syncing() or not (segment := self._segment):
            return
        # Made here: a thread does not survive the fork of the worker.
        self._thread = self._thread or ThreadPoolExecutor(1, "decisions")
        is_old = monotonic() - self._opened > _SEGMENT_SECONDS
        # The sink removes closed segments only, which makes room.
        if segment.size > _SEGMENT_BYTES or is_old or self._full:
            self._segment = None
            self._syncing = self._thread.submit(_finish, segment)
        else:
            self._syncing = self._thread.submit(segment.sync)

    def close(self) -> None:
        """At the end of the worker: write what waits, and close the segment."""
        self.flush()
        self._metrics.dropped(self._dropped + self._waiting)
        if self._thread:
            self._thread.shutdown()
        if self._segment:
            with suppress(OSError):  # the process ends, and has said so of the disk before
                _finish(self._segment)
            self._segment = None

    @property
    def _waiting(self) -> int:
        return len(self._entries) + len(self._frames)

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        if not self._scheduled and not self._failing:
            self._schedule()

    def _write(self) -> None:
        """Seal and write what waits. Raises OSError."""
        month, key = self._month_key(time())
        for entry in self._entries:
            salt = next(self._salts)
            self._frames.append(framed(Frame(month, salt, seal(key, salt, encode(entry)))))
        self._entries.clear()
        segment = self._segment or self._open()
        segment.write(b"".join(self._frames))
        self._metrics.written(len(self._frames))
        self._frames.clear()

    def _is_syncing(self) -> bool:
        """Whether a synchronisation runs; one that has failed ends its segment."""
        syncing = self._syncing
        if not syncing or not syncing.done():
            return syncing is not None
        self._syncing = None
        error = syncing.exception()
        if isinstance(error, OSError):
            # The kernel may have dropped what it could not write, and says so once.
            self._fails(error)
            if self._segment:
                self._segment.close()
                self._segment = None
        return False

    def _month_key(self, moment: float) -> tuple[str, bytes]:
        """The month of a moment, and its key. Raises OSError."""
        month = month_of(moment)
        if month != self._month[0]:
            self._month = (month, self._secrets.month_key(month))
        return self._month

    def _fails(self, error: OSError) -> None:
        if not self._failing:
            log_failure("the spool of decisions", error)
        self._failing = True

    def _schedule(self) -> None:
        try:
            loop = get_running_loop()
        except RuntimeError:  # a server without one
            self.flush()
            return
        self._scheduled = True
        loop.call_soon(self.flush)

    def _open(self) -> SegmentWriter:
        self._segment, self._opened = SegmentWriter(self._folder), monotonic()
        return self._segment

    def _served(self, live: Served) -> dict[str, str]:
        """A version, for an event: which, and its thresholds."""
        limits, _ = self._decided(live)
        thresholds = {f"threshold_{name}": str(limit) for name, limit in limits.items()}
        return {"version": live.version, "sha256": live.scorer.sha256, **thresholds}

    def _decided(self, live: Served) -> tuple[dict[str, float], Decisions | None]:
        """The thresholds of a version, looked up when it changes."""
        if self._of[0] is not live:
            decided = self._decisions(live.scorer)
            self._of = (live, dict(decided.limits) if decided else {}, decided)
        return self._of[1:]


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):  # the sink has removed it
        return path.stat().st_size
    return 0


def _finish(segment: SegmentWriter) -> None:
    try:
        segment.sync()
    finally:
        segment.close()
