"""Explanations: one at a time in each worker, and only while nobody waits for a score."""

import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

import gevent

from model import ExplainerGone, NotExplained
from model.regno import Explainer, Explanation, RegnoScorer, Row
from service.admission import EXPLAIN, Admission, retry_after
from service.beside import beside_the_loop
from service.errors import Refused
from service.lane import Lane

# How many may wait for the one that is worked out, whatever their size.
_ROOM: Final = 8
_ANY_SIZE: Final = 1
# Waiting included. A row takes tens of milliseconds where the machine is not in demand.
_LONGEST_SECONDS: Final = 10.0
# What Python says then, in a RuntimeError.
_NO_THREAD: Final = "can't start new thread"
# Its process takes as much memory as a worker, and a second to start.
_IDLE_SECONDS: Final = 60.0

log = logging.getLogger("gunicorn.error")


class Explaining:
    """Lets explanations in, or refuses them with 429, and keeps the process that makes them."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._lane = Lane(1, _ROOM, _ROOM + _ANY_SIZE)
        self._scorer: RegnoScorer | None = None
        self._explainer: Explainer | None = None
        self._idle: Any = None

    def check(self, scorer: RegnoScorer) -> None:
        """Raises Refused while anybody waits for a score, or too many for explanations.

        With 501 for a model whose scores can't be explained.
        """
        if scorer.unexplained:
            raise Refused(501, f"this model can't be explained: {scorer.unexplained}")
        if self._admission.busy or self._lane.is_full_for(_ANY_SIZE):
            raise self._admission.refusal(EXPLAIN)

    def explained(
        self, scorer: RegnoScorer, rows: Sequence[Row], seconds: float | None
    ) -> list[Explanation]:
        """The rows' explanations, in at most as many seconds as the caller gives.

        Raises Refused, with 503 where the machine has no thread or process left; NotExplained.
        """
        self.check(scorer)
        latest = monotonic() + min(seconds or _LONGEST_SECONDS, _LONGEST_SECONDS)
        self._lane.enter(_ANY_SIZE)
        try:
            self._give_way(latest)
            explainer = self._explainer_of(scorer)
            return beside_the_loop(scorer.explained, rows, explainer, latest - monotonic())
        except ExplainerGone as reason:
            raise _unable(str(reason)) from reason
        except RuntimeError as fault:
            if str(fault) != _NO_THREAD:
                raise
            raise _unable("no thread can be started") from fault
        except NotExplained as fault:
            if fault.in_time:
                raise
            raise self._admission.refusal(EXPLAIN) from fault
        finally:
            self._lane.leave(_ANY_SIZE)
            self._end_when_idle()

    def _give_way(self, latest: float) -> None:
        """Who waited for its turn: there may be more to do now than when it came."""
        if self._admission.busy or monotonic() > latest:
            raise self._admission.refusal(EXPLAIN)

    def _explainer_of(self, scorer: RegnoScorer) -> Explainer:
        if self._explainer is None or scorer is not self._scorer:
            self._end()
            self._scorer, self._explainer = scorer, scorer.explainer()
        return self._explainer

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.kill(block=False)
        self._idle = gevent.spawn_later(_IDLE_SECONDS, self._end)

    def _end(self) -> None:
        explainer, self._explainer, self._scorer = self._explainer, None, None
        if explainer is not None:
            beside_the_loop(explainer.close)


def _unable(reason: str) -> Refused:
    """The reply when the machine has no thread or process left for an explanation."""
    log.warning("An explanation could not be made: %s", reason)
    return Refused(503, "no explanation can be made now", {"Retry-After": retry_after()})
