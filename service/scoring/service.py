"""From the body of a request to its outcomes: what every interface calls, for any model.

Single rows share batches, arrays are scored in steps and in turn, and what can't be answered in
time is rejected with Overloaded. A caller makes a `Call` and gets its outcome by the call's
methods. Nothing here uses HTTP.
"""

from asyncio import Task, get_running_loop
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from model import InvalidRequest, is_array
from model.scorer import Model, Request, Row, Score
from service.config.settings import Settings
from service.overload.admission import ARRAY_BYTES, DEADLINE, DECISIONS, Admission
from service.scoring.core import Outcome, Scoring
from service.scoring.live import Live, Slot
from service.telemetry.metrics import Metrics
from service.telemetry.record import Record

if TYPE_CHECKING:
    from service.decisions.recorder import Recorder

T = TypeVar("T")


class Call(Struct, gc=False, eq=False):
    """A request for scores, and how its outcome is handed back: an interface's subclass says.

    `body` is dropped when it has been read: the frames of a rejection refer to the call, and live
    until the garbage collector's next run. From `latest` on the service fills in what a single row
    needs while it waits for its batch: `sent` is the request as it came, `guarded` as the guards
    left it, `queued` a time of `perf_counter`.
    """

    service: "ScoringService"
    record: Record
    body: bytes
    detail: bool = False
    latest: float = 0.0
    queued: float = 0.0
    live: Any = None
    row: Row = None
    sent: Request = None
    guarded: Request = None

    def answer(self, outcome: Outcome) -> None:
        """Hand back the outcome of one row."""
        raise NotImplementedError

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Take the next outcomes of an array."""
        raise NotImplementedError

    def end(self) -> None:
        """Hand back the outcomes of the array: there are no more."""
        raise NotImplementedError

    def fail(self, error: Exception) -> None:
        """Hand back why there is no outcome."""
        raise NotImplementedError

    def scored(self, score: Score, began: float, ended: float) -> None:
        """The row has its score, of a batch that began and ended then."""
        record, service = self.record, self.service
        record.wait_seconds = began - self.queued
        record.predict_seconds = ended - began
        try:
            service.scoring.scored(self.live, self.guarded, self.row, score, record)
            outcome = service.scoring.outcome(
                self.live, self.sent, score, record, detail=self.detail
            )
        except Exception as error:  # noqa: BLE001 - handed back
            service.fail(self, error)
            return
        service.hand_back(self, partial(self.answer, outcome))

    def failed(self, error: Exception) -> None:
        """The row could not be scored."""
        self.service.scoring.failed(1)
        self.service.fail(self, error)

    def too_late(self) -> None:
        """The row's time was over before its batch began."""
        self.service.fail(self, self.service.admission.overloaded(DEADLINE))


class ScoringService:
    """Scores bodies with the version of a model that is live in a slot."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a server
        self,
        model: Model,
        slot: Slot,
        settings: Settings,
        metrics: Metrics,
        admission: Admission,
        pause: Callable[[], Awaitable[None]],
    ) -> None:
        """`pause` lets the event loop serve others between the steps of an array."""
        self.slot = slot
        self._pause = pause
        self.admission = admission
        self.scoring = Scoring(model, slot, settings, metrics)
        self._decoder = model.decoder(settings.max_rows)
        self.answered = metrics.of(model.name).scoring.stages
        self._tasks: set[Task[None]] = set()

    def live(self, record: Record) -> Live:
        """What serves now; the request keeps to it."""
        live = self.slot.current
        record.model_version = live.version
        return live

    def submit(self, call: Call, seconds: float | None) -> None:
        """Have the body of a call scored; the call gets its outcome, now or later.

        `seconds` are what the caller gives, None without a deadline. Raises InvalidRequest or
        Overloaded.
        """
        record = call.record
        if self.slot.recorder:
            self._check_recorder(self.slot.recorder)
        live = self.live(record)
        if len(call.body) > ARRAY_BYTES:
            latest = self.admission.check_array(len(call.body), seconds)
            task = get_running_loop().create_task(self._array(live, latest, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        call.latest = self.admission.check_single(seconds)
        decoded = self._decoded(call)
        if isinstance(decoded, list):  # of a few rows
            self.hand_back(call, self._score(live, decoded, call))
            return
        call.live, call.sent = live, decoded
        call.guarded, call.row = self.scoring.row(live, decoded, record)
        call.queued = perf_counter()
        live.batcher.add(call)

    def score(self, live: Live, call: Call, seconds: float | None) -> None:
        """The same at once, without an event loop. Raises what scoring raises, too."""
        recorder = self.slot.recorder
        if recorder:
            self._check_recorder(recorder)
        self.admission.check(len(call.body), seconds)
        reply = self._score(live, self._decoded(call), call)
        if recorder:
            recorder.flush()
            if not recorder.may_reply:
                raise self.admission.overloaded(DECISIONS)
        reply()
        self.answered(call.record)

    def hand_back(self, call: Call, reply: Callable[[], None]) -> None:
        """Have a call reply with its outcomes, once its decisions are kept if any are."""
        recorder = self.slot.recorder
        if recorder:
            recorder.when_written(partial(self._reply_if, call, reply))
        else:
            self._reply(call, reply)

    def _reply_if(self, call: Call, reply: Callable[[], None], may_reply: bool) -> None:  # noqa: FBT001 - said by the recorder
        if may_reply:
            self._reply(call, reply)
        else:
            self.fail(call, self.admission.overloaded(DECISIONS))

    def _reply(self, call: Call, reply: Callable[[], None]) -> None:
        try:
            reply()
            self.answered(call.record)
        except Exception as error:  # noqa: BLE001 - handed back
            self.fail(call, error)

    def fail(self, call: Call, error: Exception) -> None:
        """Hand back why there is no outcome; an invalid request is counted."""
        if isinstance(error, InvalidRequest):
            self.scoring.refused(error)
        call.body = b""
        call.fail(error)

    def _check_recorder(self, recorder: "Recorder") -> None:
        """Raise Overloaded where no row may be scored whose decision is not kept."""
        if recorder.refuses:
            raise self.admission.overloaded(DECISIONS)

    def _decoded(self, call: Call) -> Request | list[Request | InvalidRequest]:
        began = perf_counter()
        decoded = self._decoder(call.body)
        call.record.decode_seconds = perf_counter() - began
        call.body = b""
        return decoded

    def _score(
        self, live: Live, decoded: Request | list[Request | InvalidRequest], call: Call
    ) -> Callable[[], None]:
        """Score, and return what hands back the outcomes."""
        record = call.record
        if isinstance(decoded, list):
            for outcomes in self.scoring.array(live, [decoded], record, detail=call.detail):
                call.add(outcomes)
            return call.end
        return partial(call.answer, self.scoring.one(live, decoded, record, detail=call.detail))

    async def _array(self, live: Live, latest: float, call: Call) -> None:
        try:
            async with self.admission.array(len(call.body), latest):
                if is_array(call.body):
                    await self._steps(live, call)
                    reply: Callable[[], None] = call.end
                else:  # one long row
                    reply = self._score(live, self._decoded(call), call)
        except Exception as error:  # noqa: BLE001 - handed back
            self.fail(call, error)
            return
        self.hand_back(call, reply)

    async def _steps(self, live: Live, call: Call) -> None:
        """Score an array step by step, between which others are served."""
        record = call.record
        slices = _timed(self._decoder.slices(call.body), record)
        call.body = b""
        for outcomes in self.scoring.array(live, slices, record, detail=call.detail):
            call.add(outcomes)
            await self._pause()


def _timed(slices: Iterator[T], record: Record) -> Iterator[T]:
    """The same, with the time that they take noted."""
    while True:
        began = perf_counter()
        try:
            found = next(slices)
        except StopIteration:
            return
        finally:
            record.decode_seconds += perf_counter() - began
        yield found
