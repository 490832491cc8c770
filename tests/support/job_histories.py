"""What concurrent callers of a store of jobs did and saw, and the model that must explain it."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any, NamedTuple

import msgspec
from detangle import lin

from service.jobs import transitions
from service.jobs.job import Job
from service.jobs.records import Records
from service.jobs.redis_records import RedisRecords
from service.jobs.sqlite_records import SqliteRecords
from service.jobs.states import State
from service.jobs.transitions import FenceLost
from tests.support.jobs import LEASE, NOW, a_job

KEYS = 4
_ROOM = 1000
_LOST = b"lost"
_encode = msgspec.json.encode


class Done(NamedTuple):
    """One call: what it was, what it gave, and its times by the machine's monotonic clock."""

    process: str
    name: str
    key: int
    argument: Any
    output: Any
    began: int
    ended: int


def opened(url: str) -> Records:
    """Records in Redis, or in a file of SQLite."""
    return RedisRecords(url) if url.startswith("redis:") else SqliteRecords(Path(url))


def history(url: str, process: int, threads: int, calls: int) -> list[Done]:
    """What the threads of one process do, each call on a job that any of them may hold."""
    records = opened(url)
    with ThreadPoolExecutor(threads) as pool:
        seeds = [f"{process}.{thread}" for thread in range(threads)]
        parts = pool.map(lambda seed: _calls(records, seed, calls), seeds)
        return [done for part in parts for done in part]


def _calls(records: Records, name: str, calls: int) -> list[Done]:
    chosen, done, known = random.Random(name), [], dict[int, Job]()

    def call(what: str, key: int, argument: Any, act: Callable[[], Any]) -> Any:
        began = monotonic_ns()
        try:
            output = act()
        except FenceLost:
            output = _LOST
        done.append(Done(name, what, key, argument, output, began, monotonic_ns()))
        return output

    for number in range(calls):
        key, now = chosen.randrange(KEYS), NOW + number
        job = known.get(key)
        what = chosen.choice(["claim", "claim", "finish", "retry", "cancel", "get"])
        if job is None or what == "submit":
            mine = a_job(fingerprint=str(key), webhook="hook", max_attempts=50)
            got = call("submit", key, mine, partial(records.accept, mine, str(key), _ROOM))
            known[key] = got.job
            continue
        if what == "claim":
            again = chosen.random() < 0.5
            act: Callable[[], Any] = partial(
                records.claim, job.id, name, now, LEASE, redelivered=again
            )
            known[key] = call(what, key, (name, now, again), act) or job
        elif what == "finish":
            state = chosen.choice([State.SUCCEEDED, State.DEAD])
            act = partial(records.finish, job.id, job.fence, now, state)
            call(what, key, (job.fence, now, state), act)
        elif what == "retry":
            act = partial(records.retry, job.id, job.fence, now, now, "a: b")
            call(what, key, (job.fence, now), act)
        elif what == "cancel":
            # A job that is brought back lets the history go on.
            act = partial(records.requeue, job.id, now)
            if chosen.random() < 0.3:
                what, act = "cancel", partial(records.cancel, job.id, "alice", now)
            else:
                what = "requeue"
            call(what, key, (now,), act)
        else:
            known[key] = call(what, key, (), partial(records.get, job.id))
    return done


class OneJob(lin.Model):
    """The job of an idempotency key, changed by the pure transitions alone."""

    def init(self) -> bytes:
        return b""

    def partition(self, operations: Sequence[lin.Operation]) -> list[list[lin.Operation]]:
        return [[op for op in operations if op.arg.key == key] for key in range(KEYS)]

    def step(self, state: bytes, op: lin.Operation) -> tuple[bool, bytes]:
        done: Done = op.arg
        if done.name == "submit":
            job, replayed = done.output
            stored = state or _encode(done.argument)
            return (_encode(job) == stored and replayed == bool(state), stored)
        if not state:
            return (False, state)
        before = msgspec.json.decode(state, type=Job)
        try:
            after = _EVENTS[done.name](before, *done.argument)
        except FenceLost:
            return (done.output == _LOST, state)
        if after is None:
            return (done.output is None, state)
        changed = _encode(after)
        return (done.output != _LOST and _encode(done.output) == changed, changed)


_EVENTS: dict[str, Callable[..., Job | None]] = {
    "claim": lambda job, worker, now, again: transitions.claimed(
        job, worker, now, LEASE, redelivered=again
    ),
    "finish": transitions.finished,
    "retry": lambda job, fence, now: transitions.retried(
        job, fence, now, now, "a: b", counted=True
    ),
    "cancel": transitions.cancelled,
    "requeue": transitions.requeued,
    "get": lambda job: job,
}


def operations(done: Sequence[Done]) -> list[lin.Operation]:
    """The calls of all processes, for the checker."""
    times = sorted((time, at) for at, one in enumerate(done) for time in (one.began, one.ended))
    order = {pair: number for number, pair in enumerate(times)}
    return [
        lin.Operation(
            *(at, one.process, one.name, one, order[one.began, at], float(one.began)),
            output=one.output,
            status=lin.OK,
            ret=order[one.ended, at],
            ret_time=float(one.ended),
        )
        for at, one in enumerate(done)
    ]
