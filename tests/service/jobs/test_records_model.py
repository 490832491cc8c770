"""Both stores against a model of one job, and histories of concurrent callers."""

import unittest
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import pytest
from detangle import lin
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.jobs import transitions
from service.jobs.job import Job
from service.jobs.records import Records
from service.jobs.states import TERMINAL, State
from service.jobs.transitions import FenceLost
from tests.support import job_histories
from tests.support.job_histories import OneJob
from tests.support.jobs import LEASE, NOW, a_job

_ROOM: Final = 10_000
_ENDS: Final = (State.SUCCEEDED, State.FAILED, State.DEAD, State.CANCELLED, State.EXPIRED)


class Machine(RuleBasedStateMachine):
    """Events in any order: the store has what the pure transitions make of the same events."""

    records: Records

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.jobs: dict[str, Job] = {}
        self.dropped: set[str] = set()

    @initialize()
    def begin_anew(self) -> None:
        for job in self.records.list("alice", None, "", _ROOM):
            self.records.kill(job.id, NOW, "")
            self.records.drop(job.id)

    @rule(
        webhook=st.sampled_from(["", "hook"]),
        deadline=st.sampled_from([0.0, NOW + 40]),
        attempts=st.integers(1, 3),
        kind=st.sampled_from(["score", "table"]),
    )
    def accept(self, webhook: str, deadline: float, attempts: int, kind: str) -> None:
        job = a_job(
            webhook=webhook, deadline=deadline, max_attempts=attempts, kind=kind, created=self.now
        )
        assert self.records.accept(job, "", _ROOM).job == job
        self.jobs[job.id] = job

    @rule(seconds=st.sampled_from([1.0, 7.0, LEASE]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), redelivered=st.booleans())
    def claim(self, data: st.DataObject, redelivered: bool) -> None:  # noqa: FBT001
        self._changed(
            data,
            lambda job: transitions.claimed(job, "w", self.now, LEASE, redelivered=redelivered),
            lambda job: self.records.claim(job, "w", self.now, LEASE, redelivered=redelivered),
        )

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), behind=st.integers(0, 1), end=st.sampled_from(_ENDS))
    def finish(self, data: st.DataObject, behind: int, end: State) -> None:
        self._of_attempt(
            data,
            behind,
            lambda job, fence: transitions.finished(job, fence, self.now, end, rows=3),
            lambda job, fence: self.records.finish(job, fence, self.now, end, rows=3),
        )

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), behind=st.integers(0, 1), counted=st.booleans())
    def retry(self, data: st.DataObject, behind: int, counted: bool) -> None:  # noqa: FBT001
        due = self.now + 5
        self._of_attempt(
            data,
            behind,
            lambda job, fence: transitions.retried(
                job, fence, self.now, due, "a: b", counted=counted
            ),
            lambda job, fence: self.records.retry(
                job, fence, self.now, due, "a: b", counted=counted
            ),
        )

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), behind=st.integers(0, 1), done=st.integers(0, 9))
    def progress(self, data: st.DataObject, behind: int, done: int) -> None:
        values: dict[str, Any] = {"done": done, "total": 9, "checkpoint": "c", "version": "v"}
        self._of_attempt(
            data,
            behind,
            lambda job, fence: transitions.progressed(job, fence, self.now, LEASE, **values),
            lambda job, fence: self.records.progress(job, fence, self.now, LEASE, **values),
        )

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def queued(self, data: st.DataObject) -> None:
        self._changed(
            data,
            lambda job: transitions.queued(job, self.now),
            lambda job: self.records.queued(job, self.now),
        )

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self._changed(
            data,
            lambda job: transitions.cancelled(job, self.now),
            lambda job: self.records.cancel(job, "alice", self.now),
        )

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        self._changed(
            data,
            lambda job: transitions.requeued(job, self.now),
            lambda job: self.records.requeue(job, self.now),
        )

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        job = self._drawn(data)
        assert self.records.drop(job.id) == (job.state in TERMINAL)
        if job.state in TERMINAL:
            del self.jobs[job.id]

    @invariant()
    def the_store_has_what_the_model_has(self) -> None:
        jobs = sorted(self.jobs.values(), key=lambda job: job.id, reverse=True)
        assert list(self.records.list("alice", None, "", _ROOM)) == jobs
        for state in State:
            of_state = [job for job in jobs if job.state is state]
            assert list(self.records.list("alice", state, "", _ROOM)) == of_state
        counted: dict[str, dict[State, int]] = {}
        for job in jobs:
            states = counted.setdefault(job.kind, {})
            states[job.state] = states.get(job.state, 0) + 1
        assert self.records.counts() == counted

    @invariant()
    def what_waits_is_found(self) -> None:
        kinds = {"score", "table"}
        for kind in kinds:
            due = {
                job.id
                for job in self.jobs.values()
                if job.kind == kind
                and (
                    (transitions.waits(job) and job.due <= self.now)
                    or (job.state is State.RUNNING and job.lease_until <= self.now)
                )
            }
            assert set(self.records.due([kind], self.now, _ROOM)) == due
        owed = [j for j in self.jobs.values() if transitions.unattended_since(j) <= self.now]
        found = self.records.unattended(self.now, _ROOM)
        assert {job.id for job in found} == {job.id for job in owed}

    def _drawn(self, data: st.DataObject) -> Job:
        return self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]

    def _changed(
        self,
        data: st.DataObject,
        expected: Callable[[Job], Job | None],
        change: Callable[[str], Job | None],
    ) -> None:
        job = self._drawn(data)
        after = expected(job)
        assert change(job.id) == after
        self.jobs[job.id] = after or job

    def _of_attempt(
        self,
        data: st.DataObject,
        behind: int,
        expected: Callable[[Job, int], Job],
        change: Callable[[str, int], Job],
    ) -> None:
        job = self._drawn(data)
        fence = job.fence - behind
        try:
            after = expected(job, fence)
        except FenceLost:
            with pytest.raises(FenceLost):
                change(job.id, fence)
            return
        assert change(job.id, fence) == after
        self.jobs[job.id] = after


def test_a_store_does_what_the_transitions_say(records: Records) -> None:
    class WithRecords(Machine):
        pass

    WithRecords.records = records
    few = hypothesis_settings(max_examples=15, stateful_step_count=30, deadline=None)
    WithRecords.TestCase.settings = few
    result = unittest.TestResult()
    WithRecords.TestCase("runTest").run(result)
    assert result.testsRun == 1
    assert not [*result.errors, *result.failures]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_concurrent_callers_see_one_order_of_changes(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("records_url") if store == "redis" else str(tmp_path / "r.sqlite")
    with ProcessPoolExecutor(3, get_context("spawn")) as processes:
        parts = [processes.submit(job_histories.history, url, n, 3, 40) for n in range(3)]
        done = [one for part in parts for one in part.result()]
    assert {one.name for one in done} == {"submit", "claim", "finish", "retry", *_REST}
    operations = job_histories.operations(done)
    result = lin.check(operations, OneJob())
    assert result.ok, result.explain()
    # The checker would see a claim that two callers got.
    claims = [op for op in operations if op.f == "claim" and op.output is not None]
    twice = replace(claims[0], index=len(operations))
    assert not lin.check([*operations, twice], OneJob()).ok


_REST: Final = ("cancel", "requeue", "get")
