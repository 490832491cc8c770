"""Records of jobs in Redis: those of the distributed form.

A record is a hash with its JSON and a revision. A change reads it, applies the transition that all
stores share, and commits it by a script unless the revision has changed meanwhile: so fence, lease
and the table of states stand in one place, and record, indexes and outbox change together.

With `appendfsync always` what Redis has answered outlives its process and a loss of power. With
`everysec` a loss of power may take the last second, and a crash up to two while the disk is busy.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from math import inf
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import structs
from redis.exceptions import ResponseError

from service.jobs import transitions
from service.jobs.job import Job
from service.jobs.records import (
    Accepted,
    Event,
    Full,
    KeyReused,
    Records,
    RecordsUnavailable,
    end_of,
)
from service.jobs.redis_client import Client, Command
from service.jobs.states import State

_PREFIX: Final = "jobs:"
_KINDS: Final = f"{_PREFIX}kinds"
_RUNNING: Final = f"{_PREFIX}running"
_UNATTENDED: Final = f"{_PREFIX}unattended"
_ENDED: Final = f"{_PREFIX}ended"
_DEAD: Final = f"{_PREFIX}dead"
# The endpoints that events were stored for; each has a sorted set of its own.
_ENDPOINTS: Final = f"{_PREFIX}endpoints"
_DEAD_OUTBOX: Final = f"{_PREFIX}outbox-dead"
# That of all endpoints, as versions before theirs had it, and how many events are moved at a time.
_FORMER_OUTBOX: Final = f"{_PREFIX}outbox"
_CARRIED: Final = 100
_DEAD_EVENTS: Final = 1000
# Others have changed the record so often between reading and committing it.
_TRIES: Final = 100

_encode: Final = msgspec.json.Encoder().encode
_job: Final = msgspec.json.Decoder(Job).decode
_event: Final = msgspec.json.Decoder(Event).decode

log = logging.getLogger("scoring")


class _Found(NamedTuple):
    """A record with its revision and its idempotency key."""

    job: Job
    revision: int
    key: str


class RedisRecords(Records):
    """Records in one database of Redis, which must not evict keys."""

    def __init__(self, url: str) -> None:
        self._client = Client(url)

    def accept(self, job: Job, idempotency_key: str, limit: int) -> Accepted:
        idem = _idempotency(job.owner, idempotency_key) if idempotency_key else ""
        is_new = [{"read": ["EXISTS", idem], "equals": "0"}] if idem else []
        has_room = [{"read": ["ZCARD", _waiting(job.kind)], "below": limit}]
        commands: list[Command] = [
            *_stored(None, job, 1),
            ("HSET", _key(job.id), "key", idem),
            ("SADD", _KINDS, job.kind),
        ]
        if idem:
            commands.append(("SET", idem, job.id))
        for _ in range(_TRIES):
            failed = self._client.commit([*is_new, *has_room], commands)
            if not failed:
                return Accepted(job, replayed=False)
            if not idem or failed > len(is_new):
                raise Full
            if known := self._of_key(idem):
                if known.fingerprint != job.fingerprint:
                    raise KeyReused
                return Accepted(known, replayed=True)
        raise RecordsUnavailable

    def get(self, job: str) -> Job | None:
        found = self._found(job)
        return found.job if found else None

    def change(self, job: str, event: Callable[[Job], Job | None]) -> Job | None:
        for _ in range(_TRIES):
            if (found := self._found(job)) is None:
                return None
            before = found.job
            after = event(before)
            if after is None or after is before:
                return after
            commands = _stored(before, after, found.revision + 1)
            if notice := end_of(before, after):
                commands += _stored_event(notice, 1)
            if not self._client.commit([_is_unchanged(_key(job), found.revision)], commands):
                return after
        raise RecordsUnavailable

    def list(self, owner: str, state: State | None, after: str, limit: int) -> Sequence[Job]:
        return self._newest(_owned(owner, state), after, limit)

    def due(self, kinds: Sequence[str], now: float, limit: int) -> Sequence[str]:
        with self._client.answering() as redis, redis.pipeline(transaction=False) as pipe:
            later = f"({now + transitions.LONGEST_PAUSE!r}"
            for kind, (low, high) in product(kinds, (("-inf", now), (later, "inf"))):
                pipe.zrangebyscore(_waiting(kind), low, high, 0, limit, withscores=True)
            waiting = [(due, member.decode()) for part in pipe.execute() for member, due in part]
        running = self._first(_RUNNING, now, limit)
        waiting += [(job.due, job.id) for job in running if job.kind in kinds]
        return [job for _, job in sorted(waiting)[:limit]]

    def dead(self, after: str, limit: int) -> Sequence[Job]:
        return self._newest(_DEAD, after, limit)

    def running(self, limit: int) -> Sequence[Job]:
        return self._first(_RUNNING, inf, limit)

    def longest_leased(self, limit: int) -> Sequence[Job]:
        with self._client.answering() as redis:
            ids = redis.zrevrange(_RUNNING, 0, limit - 1)
        return self._jobs(ids)

    def unattended(self, now: float, limit: int) -> Sequence[Job]:
        return self._first(_UNATTENDED, now, limit)

    def expired(self, now: float, limit: int) -> Sequence[Job]:
        return self._first(_ENDED, now, limit)

    def counts(self) -> dict[str, dict[State, int]]:
        with self._client.answering() as redis, redis.pipeline(transaction=False) as pipe:
            kinds = sorted(kind.decode() for kind in redis.smembers(_KINDS))
            places = [(kind, state) for kind in kinds for state in State]
            for kind, state in places:
                pipe.zcard(_of_state(kind, state))
            sizes = pipe.execute()
        counted: dict[str, dict[State, int]] = {}
        for (kind, state), size in zip(places, sizes, strict=True):
            if size:
                counted.setdefault(kind, {})[state] = size
        return counted

    def oldest_waiting(self, now: float) -> dict[str, float]:
        with self._client.answering() as redis, redis.pipeline(transaction=False) as pipe:
            kinds = sorted(kind.decode() for kind in redis.smembers(_KINDS))
            for kind in kinds:
                pipe.zrangebyscore(_waiting(kind), "-inf", now, 0, 1, withscores=True)
            oldest = pipe.execute()
        return {kind: now - found[0][1] for kind, found in zip(kinds, oldest, strict=True) if found}

    def position(self, job: Job) -> int:
        with self._client.answering() as redis:
            place = redis.zrank(_waiting(job.kind), job.id)
        return 1 + (place or 0)

    def owed(self) -> Mapping[str, float]:
        self._carry_over()
        with self._client.answering() as redis, redis.pipeline(transaction=False) as pipe:
            endpoints = sorted(endpoint.decode() for endpoint in redis.smembers(_ENDPOINTS))
            for endpoint in endpoints:
                pipe.zrange(_outbox(endpoint), 0, 0, withscores=True)
            firsts = pipe.execute()
        return {name: first[0][1] for name, first in zip(endpoints, firsts, strict=True) if first}

    def take_event(
        self, endpoint: str, latest: float, until: float, later: float = inf
    ) -> Event | None:
        for _ in range(_TRIES):
            with self._client.answering() as redis:
                outbox = _outbox(endpoint)
                due = redis.zrangebyscore(outbox, "-inf", latest, 0, 1) or (
                    redis.zrangebyscore(outbox, f"({later}", "inf", 0, 1) if later < inf else ()
                )
            if not due:
                return None
            # Another sender may have taken it meanwhile: then the next one is looked for.
            taken = self._changed_event(
                due[0].decode(),
                lambda known: structs.replace(known, due=until),
                lambda known: not latest < known.due <= later,
            )
            if taken:
                return taken
        raise RecordsUnavailable

    def sent(self, event: Event) -> None:
        self._client.commit([], _removed_event(event))

    def unsent(self, event: Event, due: float, error: str, *, dead: bool) -> None:
        self._changed_event(
            event.id,
            lambda known: structs.replace(
                known, attempts=known.attempts + 1, due=due, error=error, dead=dead
            ),
        )
        if dead:
            with self._client.answering() as redis:
                ids = redis.zrange(_DEAD_OUTBOX, 0, -1 - _DEAD_EVENTS)
            oldest = map(_event, self._read(map(_event_key, _decoded(ids))))
            commands = [command for old in oldest for command in _removed_event(old)]
            self._client.commit([], commands)

    def dead_events(self, limit: int) -> Sequence[Event]:
        with self._client.answering() as redis:
            ids = redis.zrevrange(_DEAD_OUTBOX, 0, limit - 1)
        return [_event(record) for record in self._read(map(_event_key, _decoded(ids)))]

    def ping(self) -> None:
        with self._client.answering() as redis:
            redis.ping()

    def durability(self) -> str:
        with self._client.answering() as redis:
            version = redis.info("server")["redis_version"]
            try:
                given = redis.config_get("append*")
            except ResponseError:  # a service in a cloud, which forbids CONFIG
                return f"Redis {version}: whether it keeps jobs over a loss of power is not known"
        if given.get("appendonly") != "yes":
            return f"Redis {version} without appendonly: a restart loses jobs"
        if given.get("appendfsync") == "always":
            return f"Redis {version}: what is accepted outlives a loss of power"
        fsync = given.get("appendfsync")
        return f"Redis {version} with appendfsync {fsync}: a loss of power may lose the last jobs"

    def _remove(self, job: str, allowed: Callable[[Job], bool]) -> bool:
        for _ in range(_TRIES):
            found = self._found(job)
            if found is None or not allowed(found.job):
                return False
            commands: list[Command] = [("DEL", _key(job), *([found.key] if found.key else []))]
            commands += [("ZREM", index, job) for index in _indexes(found.job)]
            if not self._client.commit([_is_unchanged(_key(job), found.revision)], commands):
                return True
        raise RecordsUnavailable

    def _found(self, job: str) -> _Found | None:
        with self._client.answering() as redis:
            record, revision, key = redis.hmget(_key(job), "record", "revision", "key")
        return None if record is None else _Found(_job(record), int(revision), key.decode())

    def _of_key(self, idem: str) -> Job | None:
        with self._client.answering() as redis:
            job = redis.get(idem)
        return self.get(job.decode()) if job else None

    def _carry_over(self) -> None:
        """Bring events to their endpoints that former versions have stored in one set for all."""
        with self._client.answering() as redis:
            ids = redis.zrange(_FORMER_OUTBOX, 0, _CARRIED - 1)
        for event in _decoded(ids):
            self._changed_event(event, lambda known: known)
            self._client.commit([], [("ZREM", _FORMER_OUTBOX, event)])

    def _changed_event(
        self,
        event: str,
        change: Callable[[Event], Event],
        allowed: Callable[[Event], bool] = lambda _: True,
    ) -> Event | None:
        """Change an event if it is allowed. None if it is not, or another sender has it."""
        with self._client.answering() as redis:
            record, revision = redis.hmget(_event_key(event), "record", "revision")
        if record is None or not allowed(before := _event(record)):
            return None
        commands = _stored_event(change(before), int(revision) + 1)
        unchanged = _is_unchanged(_event_key(event), int(revision))
        return None if self._client.commit([unchanged], commands) else before

    def _newest(self, index: str, after: str, limit: int) -> Sequence[Job]:
        with self._client.answering() as redis:
            ids = redis.zrevrangebylex(index, f"({after}" if after else "+", "-", 0, limit)
        return self._jobs(ids)

    def _first(self, index: str, now: float, limit: int) -> Sequence[Job]:
        with self._client.answering() as redis:
            ids = redis.zrangebyscore(index, "-inf", now, 0, limit)
        return self._jobs(ids)

    def _jobs(self, ids: Iterable[bytes]) -> Sequence[Job]:
        return [_job(record) for record in self._read(map(_key, _decoded(ids)))]

    def _read(self, keys: Iterable[str]) -> Sequence[bytes]:
        with self._client.answering() as redis, redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(key, "record")
            return [record for record in pipe.execute() if record is not None]


def _decoded(ids: Iterable[bytes]) -> Iterable[str]:
    return (member.decode() for member in ids)


def _key(job: str) -> str:
    return f"{_PREFIX}job:{job}"


def _idempotency(owner: str, key: str) -> str:
    return f"{_PREFIX}idempotency:{owner}:{key}"


def _waiting(kind: str) -> str:
    return f"{_PREFIX}waiting:{kind}"


def _of_state(kind: str, state: State) -> str:
    return f"{_PREFIX}state:{kind}:{state}"


def _owned(owner: str, state: State | None) -> str:
    return f"{_PREFIX}owned:{state or 'all'}:{owner}"


def _outbox(endpoint: str) -> str:
    return f"{_PREFIX}outbox:{endpoint}"


def _event_key(event: str) -> str:
    return f"{_PREFIX}event:{event}"


def _is_unchanged(key: str, revision: int) -> dict[str, Any]:
    return {"read": ["HGET", key, "revision"], "equals": str(revision)}


def _indexes(job: Job) -> Mapping[str, float]:
    """The sorted sets that a job is in, and its score there; by 0 they are sorted by its id."""
    found = {
        _owned(job.owner, None): 0.0,
        _owned(job.owner, job.state): 0.0,
        _of_state(job.kind, job.state): 0.0,
    }
    if transitions.waits(job):
        found[_waiting(job.kind)] = job.due
    if job.state is State.RUNNING:
        found[_RUNNING] = job.lease_until
    if job.state is State.DEAD:
        found[_DEAD] = 0.0
    if (unattended := transitions.unattended_since(job)) < inf:
        found[_UNATTENDED] = unattended
    if job.expires:
        found[_ENDED] = job.expires
    return found


def _stored(before: Job | None, after: Job, revision: int) -> list[Command]:
    """What stores a record and moves it among the indexes."""
    old, new = _indexes(before) if before else {}, _indexes(after)
    commands: list[Command] = [
        ("HSET", _key(after.id), "record", _encode(after).decode(), "revision", str(revision))
    ]
    commands += [("ZREM", index, after.id) for index in old.keys() - new.keys()]
    commands += [
        ("ZADD", index, repr(score), after.id)
        for index, score in new.items()
        if old.get(index) != score
    ]
    return commands


def _stored_event(event: Event, revision: int) -> list[Command]:
    owed = _outbox(event.endpoint)
    place, other = (_DEAD_OUTBOX, owed) if event.dead else (owed, _DEAD_OUTBOX)
    record = _encode(event).decode()
    return [
        ("HSET", _event_key(event.id), "record", record, "revision", str(revision)),
        ("SADD", _ENDPOINTS, event.endpoint),
        ("ZADD", place, repr(event.due), event.id),
        ("ZREM", other, event.id),
    ]


def _removed_event(event: Event) -> list[Command]:
    return [
        ("DEL", _event_key(event.id)),
        ("ZREM", _outbox(event.endpoint), event.id),
        ("ZREM", _DEAD_OUTBOX, event.id),
    ]
