"""The shadow model: it scores live traffic too, and its scores are compared with the live ones.

A row that has its live score goes into a bounded queue, or is dropped if that is full. Now and
then some rows are taken and scored in one call; after it the shadow model rests for so long that it
takes a twenty-fifth of the worker's time at most. As soon as callers have to wait, all that it had
is dropped.
"""

from asyncio import TimerHandle, get_running_loop
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from random import random
from time import monotonic
from typing import Final, TypeAlias

from model import InvalidRequest
from model.scorer import Request, Score, Scorer
from service.config.settings import Settings
from service.scoring.recent import LARGEST_BYTES
from service.telemetry.failures import log_failure
from service.telemetry.metrics.models import ModelMetrics
from service.telemetry.metrics.shadow import ShadowMetrics

# Rows of one call. A call has a fixed cost of about ten rows: the more share it, the better,
# but each holds up the event loop.
ROWS: Final = 32
# So long rows gather for a call. Half a call's worth comes at 160 a second.
GATHER_SECONDS: Final = 0.1
# A call that took longer is followed by one of half the rows.
_LONGEST_SECONDS: Final = 0.003
# The share of a worker's time, and the longest rest after a call: one may have taken long only
# since the machine stood still.
TIME_SHARE: Final = 0.04
_LONGEST_REST: Final = 1.0
_LOG_SECONDS: Final = 1.0


# A row, its live score and the version that gave it. A bare tuple: a named one takes three
# times as long to make.
_Live: TypeAlias = tuple[Request, float, str]


class Shadow:
    """Compares one model with the live one; closed when another takes its place.

    Belongs to the process that first offers a row: it uses that one's event loop.
    """

    def __init__(
        self,
        scorer: Scorer,
        settings: Settings,
        metrics: ShadowMetrics | ModelMetrics,
        *,
        live_version: Callable[[], str],
        busy: Callable[[], bool],
    ) -> None:
        """`live_version` is that which serves now; `busy` says whether callers wait."""
        self.version = scorer.version
        self._scorer = scorer
        self._memory_of = scorer.memory_of
        self._metrics = metrics
        self._live_version = live_version
        self._busy = busy
        self._share = settings.shadow_share
        self._queue_rows = settings.shadow_queue_rows
        self._queue: deque[_Live] = deque()
        self._dropped = 0
        self._rows = ROWS
        self._timer: TimerHandle | None = None
        self._logged = -_LOG_SECONDS

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return len(self._queue)

    def offer(self, request: Request, score: Score, version: str) -> None:
        """Note a row that the live model of a version has scored, if it is picked."""
        if random() >= self._share:  # noqa: S311 - no secret
            return
        if len(self._queue) >= self._queue_rows or self._memory_of(request) > LARGEST_BYTES:
            self._dropped += 1
            return
        self._queue.append((request, score.positive, version))
        if self._timer is None:
            self._wait(GATHER_SECONDS)

    def offer_all(
        self,
        requests: Iterable[Request],
        outcomes: Iterable[Score | InvalidRequest],
        version: str,
    ) -> None:
        """The same for the rows of an array; those without a score are left out."""
        for request, outcome in zip(requests, outcomes, strict=True):
            if not isinstance(outcome, InvalidRequest):
                self.offer(request, outcome, version)

    def close(self) -> None:
        """Compare no more, and drop what waits."""
        self._share = 0.0
        self._drop()
        self._stop()
        self._tell()

    def _wait(self, seconds: float) -> None:
        self._timer = get_running_loop().call_later(seconds, self._work)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _work(self) -> None:
        self._stop()
        self._metrics.waiting(len(self._queue))
        if self._busy():
            self._drop()
        batch = [self._queue.popleft() for _ in range(min(self._rows, len(self._queue)))]
        began = monotonic()
        self._compare(batch)
        took = monotonic() - began
        self._pace(took)
        self._tell()
        if batch:  # else it sleeps until a row is offered
            self._wait(self._rest(took))

    def _compare(self, batch: Sequence[_Live]) -> None:
        serving = self._live_version()
        pairs = [(request, live) for request, live, version in batch if version == serving]
        self._dropped += len(batch) - len(pairs)
        if not pairs:
            return
        requests, live = zip(*pairs, strict=True)
        try:
            shadow = [score.positive for score in self._scorer.score(requests)]
            self._metrics.compared(list(map(self._scorer.group_of, requests)), live, shadow)
        except Exception as error:  # noqa: BLE001 - no caller waits for it
            self._fail(error, len(pairs))

    def _fail(self, error: Exception, rows: int) -> None:
        self._metrics.lost("failed", rows)
        now = monotonic()
        if now - self._logged >= _LOG_SECONDS:
            self._logged = now
            log_failure(f"the shadow model {self.version}", error)

    def _pace(self, took: float) -> None:
        """How many rows the next call may have, by what the last one took."""
        if took > _LONGEST_SECONDS:
            self._rows = max(1, self._rows // 2)
        else:
            self._rows = min(ROWS, self._rows + 1)

    def _rest(self, took: float) -> float:
        earned = min(_LONGEST_REST, took * (1 / TIME_SHARE - 1))
        return earned if len(self._queue) >= self._rows else max(earned, GATHER_SECONDS)

    def _drop(self) -> None:
        self._dropped += len(self._queue)
        self._queue.clear()

    def _tell(self) -> None:
        """Write what was dropped, and what still waits."""
        dropped, self._dropped = self._dropped, 0
        self._metrics.lost("dropped", dropped)
        self._metrics.waiting(len(self._queue))
