"""Each fault that is planted here breaks a rule in some schedule of a thousand."""

import re
from collections.abc import Callable
from functools import wraps
from math import inf
from typing import Any
from unittest.mock import patch

import pytest

from service.overload.admission import Admission
from service.scoring.batching import Batcher
from service.scoring.core import Scoring
from service.scoring.service import Call, ScoringService
from service.server.acceptor import FairAcceptor
from service.server.connection import Connection
from service.server.site import Site
from service.server.worker import ScoringWorker
from tests.simulation.many import play

_SIZE = 1000

Method = Callable[..., Any]


def _answers_late_rows_twice(late: Method) -> Method:
    def planted(self: Call) -> None:
        late(self)
        late(self)

    return planted


def _forgets_rows_beyond_a_batch(flush: Method) -> Method:
    def planted(self: Batcher) -> None:
        flush(self)
        self._admission.waiting -= len(self._line)
        self._line = []

    return planted


def _scores_each_step_by_what_serves_now(step: Method) -> Method:
    def planted(self: Scoring, live: object, *arguments: Any) -> Any:
        del live
        return step(self, self._slot.current, *arguments)

    return planted


def _keeps_the_first_version(live: Method) -> Method:
    def planted(self: Any, record: Any) -> Any:
        self.first = getattr(self, "first", None) or live(self, record)
        record.model_version = self.first.version
        return self.first

    return planted


def _counts_late_rows_as_waiting(late: Method) -> Method:
    def planted(self: Call) -> None:
        self.service.admission.waiting += 1
        late(self)

    return planted


def _keeps_bytes_of_refused_bodies(release: Method) -> Method:
    def planted(self: Site, request: Any) -> None:
        if request.complete:
            release(self, request)

    return planted


def _gives_bytes_back_twice(release: Method) -> Method:
    def planted(self: Site, request: Any) -> None:
        self._bodies.give_back(request.reserved)
        release(self, request)

    return planted


def _lets_rows_wait_for_ever(check: Method) -> Method:
    def planted(self: Admission, seconds: float | None) -> float:
        check(self, seconds)
        return inf

    return planted


def _lets_arrays_wait_for_ever(array: Method) -> Method:
    def planted(self: Admission, size: int, latest: float) -> Any:
        del latest
        return array(self, size, inf)

    return planted


def _does_not_wait_for_what_is_in_flight(end: Method) -> Method:
    async def planted(self: ScoringWorker) -> None:
        self._may_linger = False
        await end(self)

    return planted


def _leaves_connected_clients_waiting(close: Method) -> Method:
    del close

    def planted(self: FairAcceptor) -> None:
        super(FairAcceptor, self).close()

    return planted


def _writes_to_a_client_that_does_not_read(pause: Method) -> Method:
    del pause
    return lambda *_: None


def _waits_for_a_client_that_does_not_read(does_not_read: Method) -> Method:
    del does_not_read
    return lambda *_: False


def _has_no_time_for_bodies(check: Method) -> Method:
    def planted(self: Connection, now: float, patience: Any) -> None:
        check(self, now, patience._replace(body=inf))

    return planted


# Where it is planted, what, and the rule that it breaks.
_FAULTS = (
    (Call, "too_late", _answers_late_rows_twice, "to nothing|is answered|counted again"),
    (Batcher, "_flush", _forgets_rows_beyond_a_batch, "waiting rows"),
    (Scoring, "_step", _scores_each_step_by_what_serves_now, "has not the score of"),
    (ScoringService, "live", _keeps_the_first_version, "none that served"),
    (Call, "too_late", _counts_late_rows_as_waiting, "waiting rows"),
    (Site, "release", _keeps_bytes_of_refused_bodies, "bytes of"),
    (Site, "release", _gives_bytes_back_twice, "bytes of bodies"),
    (Admission, "check_single", _lets_rows_wait_for_ever, "past its deadline"),
    (Admission, "array", _lets_arrays_wait_for_ever, "past its deadline"),
    (ScoringWorker, "_end", _does_not_wait_for_what_is_in_flight, "never answered|without a reply"),
    (FairAcceptor, "close", _leaves_connected_clients_waiting, "there are places"),
    (Connection, "pause_writing", _writes_to_a_client_that_does_not_read, "reads no replies"),
    (
        Connection,
        "_does_not_read",
        _waits_for_a_client_that_does_not_read,
        "not read by its client",
    ),
    (Connection, "check", _has_no_time_for_bodies, "for a body|rest of a body"),
)


# A schedule that breaks the rule, where it is not among the first: only the order of play.
_KNOWN = {
    _scores_each_step_by_what_serves_now: 680,
    _writes_to_a_client_that_does_not_read: 78,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "name", "fault", "rule"), _FAULTS, ids=[fault[2].__name__[1:] for fault in _FAULTS]
)
def test_a_fault_is_found(where: type, name: str, fault: Any, rule: str) -> None:
    real, first = getattr(where, name), _KNOWN.get(fault, 0)
    with patch.object(where, name, wraps(real)(fault(real))):
        broken = play(first, _SIZE - first) or play(0, first)
    assert broken is not None
    assert re.search(rule, broken.broken)
