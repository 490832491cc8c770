"""What both stores of records do, method by method."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from service.jobs.job import Job, created_at, new_id
from service.jobs.records import Full, KeyReused, Records
from service.jobs.states import TERMINAL, TRANSITIONS, Event, State, TransitionError, next_state
from service.jobs.transitions import ACCEPTED_SECONDS, LONGEST_PAUSE, QUEUED_SECONDS, FenceLost
from tests.support.jobs import KEEP, LEASE, NOW, a_job, events

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOM = 1000


def _accepted(records: Records, **changed: object) -> Job:
    job = a_job(**changed)
    assert records.accept(job, "", _ROOM).job == job
    return job


def _running(records: Records, **changed: object) -> Job:
    claimed = records.claim(_accepted(records, **changed).id, "w", NOW, LEASE)
    assert claimed is not None
    return claimed


def _ended(records: Records, state: State, **changed: object) -> Job:
    running = _running(records, **changed)
    return records.finish(running.id, running.fence, NOW, state)


def _progress(records: Records, job: Job, fence: int, done: int = 1) -> Job:
    return records.progress(
        job.id, fence, NOW + 1, LEASE, done=done, total=9, checkpoint="c", version="v"
    )


def test_a_job_is_kept_as_it_was_accepted(records: Records) -> None:
    job = _accepted(records, parameters={"detail": "1"}, webhook="w", deadline=NOW + 9)
    assert records.get(job.id) == job
    assert records.get(new_id(NOW)) is None


def test_the_same_request_with_the_same_key_is_one_job(records: Records) -> None:
    job = a_job()
    again = structs.replace(a_job(), fingerprint=job.fingerprint)
    assert not records.accept(job, "key", _ROOM).replayed
    assert records.accept(again, "key", _ROOM) == (job, True)
    assert records.get(again.id) is None


def test_a_key_is_refused_for_another_request(records: Records) -> None:
    records.accept(a_job(), "key", _ROOM)
    with pytest.raises(KeyReused):
        records.accept(a_job(), "key", _ROOM)


def test_a_key_is_its_owners(records: Records) -> None:
    records.accept(a_job(), "key", _ROOM)
    assert not records.accept(a_job(owner="bob"), "key", _ROOM).replayed


def test_a_key_is_free_again_once_its_job_is_dropped(records: Records) -> None:
    job = a_job()
    records.accept(job, "key", _ROOM)
    records.cancel(job.id, job.owner, NOW)
    assert records.drop(job.id)
    assert not records.accept(a_job(), "key", _ROOM).replayed


def test_fifty_threads_with_one_key_get_one_job(records: Records) -> None:
    fingerprint = a_job().fingerprint

    def submit(_: int) -> tuple[str, bool]:
        accepted = records.accept(a_job(fingerprint=fingerprint), "key", _ROOM)
        return accepted.job.id, accepted.replayed

    with ThreadPoolExecutor(50) as threads:
        got = list(threads.map(submit, range(50)))
    assert len({job for job, _ in got}) == 1
    assert [replayed for _, replayed in got].count(False) == 1
    assert len(records.list("alice", None, "", 100)) == 1


def test_a_kind_has_room_for_so_many_that_wait(records: Records) -> None:
    first = a_job()
    records.accept(first, "", 2)
    records.queued(first.id, NOW)
    records.accept(a_job(), "", 2)
    with pytest.raises(Full):
        records.accept(a_job(), "", 2)
    records.accept(a_job(kind="table"), "", 2)
    records.claim(first.id, "w", NOW, LEASE)
    records.accept(a_job(), "", 2)


def test_a_known_key_is_answered_when_there_is_no_room(records: Records) -> None:
    job = a_job()
    records.accept(job, "key", 1)
    assert records.accept(structs.replace(job, id=new_id(NOW)), "key", 1).replayed


def test_owners_see_their_own_jobs_newest_first(records: Records) -> None:
    jobs = [_accepted(records) for _ in range(5)]
    _accepted(records, owner="bob")
    newest_first = [job.id for job in reversed(jobs)]
    assert [job.id for job in records.list("alice", None, "", 9)] == newest_first
    assert [job.id for job in records.list("alice", None, "", 2)] == newest_first[:2]
    assert [job.id for job in records.list("alice", None, newest_first[1], 2)] == newest_first[2:4]
    assert not records.list("alice", None, newest_first[-1], 2)
    assert not records.list("carol", None, "", 9)


def test_a_list_can_be_of_one_state(records: Records) -> None:
    jobs = [_accepted(records) for _ in range(4)]
    for job in jobs[1:3]:
        records.cancel(job.id, job.owner, NOW)
    cancelled = [job.id for job in records.list("alice", State.CANCELLED, "", 9)]
    assert cancelled == [jobs[2].id, jobs[1].id]
    assert [j.id for j in records.list("alice", State.CANCELLED, jobs[2].id, 9)] == [jobs[1].id]
    assert len(records.list("alice", State.ACCEPTED, "", 9)) == 2


def test_a_claim_begins_an_attempt(records: Records) -> None:
    job = _accepted(records)
    claimed = records.claim(job.id, "w", NOW + 1, LEASE)
    assert claimed is not None
    assert (claimed.state, claimed.attempts, claimed.fence) == (State.RUNNING, 1, 1)
    assert (claimed.worker, claimed.started) == ("w", NOW + 1)
    assert claimed.lease_until == NOW + 1 + LEASE
    assert records.get(job.id) == claimed


def test_a_leased_job_is_claimed_again_only_if_its_message_is_redelivered(records: Records) -> None:
    job = _running(records)
    assert records.claim(job.id, "other", NOW + 1, LEASE) is None
    taken = records.claim(job.id, "other", NOW + 1, LEASE, redelivered=True)
    assert taken is not None
    assert (taken.fence, taken.attempts, taken.worker) == (2, 2, "other")
    with pytest.raises(FenceLost):
        _progress(records, job, job.fence)


def test_a_job_without_a_lease_is_taken_over_and_the_old_attempt_stops(records: Records) -> None:
    old = _running(records)
    new = records.claim(old.id, "other", NOW + LEASE, LEASE)
    assert new is not None
    calls: list[Callable[[], object]] = [
        lambda: _progress(records, old, old.fence),
        lambda: records.finish(old.id, old.fence, NOW, State.SUCCEEDED, result="old"),
        lambda: records.retry(old.id, old.fence, NOW, NOW, "a: b"),
    ]
    for stale in calls:
        with pytest.raises(FenceLost):
            stale()
    assert records.get(old.id) == new


def test_progress_extends_the_lease_and_says_whether_to_stop(records: Records) -> None:
    job = _running(records)
    seen = _progress(records, job, job.fence, done=5)
    assert (seen.done, seen.total, seen.checkpoint, seen.version) == (5, 9, "c", "v")
    assert seen.lease_until == NOW + 1 + LEASE
    assert not seen.cancelling
    records.cancel(job.id, job.owner, NOW)
    assert _progress(records, job, job.fence).cancelling


def test_a_job_ends_once(records: Records) -> None:
    job = _running(records)
    ended = records.finish(
        *(job.id, job.fence, NOW + 2, State.SUCCEEDED),
        result="r",
        result_type="t",
        rows=7,
        version="v",
    )
    assert (ended.state, ended.result, ended.result_type) == (State.SUCCEEDED, "r", "t")
    assert (ended.done, ended.total, ended.version) == (7, 7, "v")
    assert (ended.finished, ended.expires) == (NOW + 2, NOW + 2 + KEEP)
    with pytest.raises(FenceLost):
        records.finish(job.id, job.fence, NOW, State.FAILED)
    assert records.claim(job.id, "w", NOW + 99, LEASE) is None
    assert records.get(job.id) == ended


def test_a_job_that_is_given_back_is_claimed_when_it_is_due(records: Records) -> None:
    job = _running(records)
    waiting = records.retry(job.id, job.fence, NOW, NOW + 5, "attempt: failed")
    assert (waiting.state, waiting.error, waiting.attempts) == (State.QUEUED, "attempt: failed", 1)
    assert records.claim(job.id, "w", NOW + 4, LEASE) is None
    again = records.claim(job.id, "w", NOW + 5, LEASE)
    assert again is not None
    assert (again.attempts, again.fence, again.error) == (2, 2, "")


def test_a_job_is_claimed_by_a_machine_whose_clock_is_behind(records: Records) -> None:
    """Its message would not come again for minutes."""
    accepted = _accepted(records)
    claimed = records.claim(accepted.id, "w", NOW - 99, LEASE)
    assert claimed is not None
    records.retry(claimed.id, claimed.fence, NOW, NOW + 5, "attempt: failed")
    assert records.claim(claimed.id, "w", NOW + 4.4, LEASE) is None
    again = records.claim(claimed.id, "w", NOW + 4.5, LEASE)
    assert again is not None
    assert again.attempts == 2


def test_an_attempt_that_had_to_stop_is_not_counted(records: Records) -> None:
    job = _running(records)
    assert records.retry(job.id, job.fence, NOW, NOW, "", counted=False).attempts == 0
    again = records.claim(job.id, "w", NOW, LEASE)
    assert again is not None
    assert (again.attempts, again.fence) == (1, 2)


def test_a_job_without_attempts_left_is_dead(records: Records) -> None:
    job = _running(records, max_attempts=1)
    dead = records.claim(job.id, "w", NOW + 1, LEASE, redelivered=True)
    assert dead is not None
    assert dead.state is State.DEAD
    assert dead.error.startswith("attempts: ")


def test_a_job_past_its_deadline_expires(records: Records) -> None:
    job = _accepted(records, deadline=NOW + 5)
    expired = records.claim(job.id, "w", NOW + 5, LEASE)
    assert expired is not None
    assert (expired.state, expired.error) == (State.EXPIRED, "deadline: is over")


def test_only_its_owner_cancels_a_job(records: Records) -> None:
    job = _accepted(records)
    assert records.cancel(job.id, "bob", NOW) is None
    assert records.get(job.id) == job
    cancelled = records.cancel(job.id, "alice", NOW)
    assert cancelled is not None
    assert cancelled.state is State.CANCELLED
    assert records.claim(job.id, "w", NOW, LEASE) is None


@pytest.mark.parametrize("end", [State.SUCCEEDED, State.FAILED, State.DEAD])
def test_a_wish_to_cancel_wins_over_a_later_end(records: Records, end: State) -> None:
    job = _running(records)
    wished = records.cancel(job.id, job.owner, NOW)
    assert wished is not None
    assert (wished.state, wished.cancelling) == (State.RUNNING, True)
    ended = records.finish(job.id, job.fence, NOW, end, result="r", error="a: b")
    assert (ended.state, ended.result, ended.error) == (State.CANCELLED, "", "")


def test_a_wish_to_cancel_outlives_the_worker(records: Records) -> None:
    job = _running(records)
    records.cancel(job.id, job.owner, NOW)
    taken = records.claim(job.id, "other", NOW, LEASE, redelivered=True)
    assert taken is not None
    assert taken.state is State.CANCELLED
    other = _running(records)
    records.cancel(other.id, other.owner, NOW)
    assert records.retry(other.id, other.fence, NOW, NOW, "").state is State.CANCELLED


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_what_has_ended_stays_as_it_is(records: Records, state: State) -> None:
    ended = _ended(records, state)
    assert records.cancel(ended.id, ended.owner, NOW + 1) == ended
    assert records.kill(ended.id, NOW + 1, "a: b") == ended
    assert records.queued(ended.id, NOW + 1) == ended
    assert records.claim(ended.id, "w", NOW + 99, LEASE, redelivered=True) is None
    assert not records.withdraw(ended.id)


def test_the_queue_gives_a_job_up(records: Records) -> None:
    job = _running(records)
    killed = records.kill(job.id, NOW, "queue: gave up")
    assert killed is not None
    assert (killed.state, killed.error) == (State.DEAD, "queue: gave up")
    assert [dead.id for dead in records.dead("", 9)] == [job.id]
    with pytest.raises(FenceLost):
        records.finish(job.id, job.fence, NOW, State.SUCCEEDED)


def test_dead_jobs_of_all_owners_are_listed_and_brought_back(records: Records) -> None:
    first = _ended(records, State.DEAD)
    second = _ended(records, State.DEAD, owner="bob")
    assert [job.id for job in records.dead("", 9)] == [second.id, first.id]
    assert [job.id for job in records.dead(second.id, 9)] == [first.id]
    back = records.requeue(first.id, NOW + 9)
    assert back is not None
    assert (back.state, back.attempts, back.expires) == (State.ACCEPTED, 0, 0.0)
    assert [job.id for job in records.dead("", 9)] == [second.id]
    claimed = records.claim(first.id, "w", NOW + 9, LEASE)
    assert claimed is not None
    assert claimed.fence > first.fence


def test_only_dead_jobs_are_brought_back(records: Records) -> None:
    ended = _ended(records, State.FAILED)
    assert records.requeue(ended.id, NOW) == ended


def test_only_ended_jobs_are_dropped_and_only_accepted_ones_withdrawn(records: Records) -> None:
    job = _accepted(records)
    assert not records.drop(job.id)
    assert records.withdraw(job.id)
    assert records.get(job.id) is None
    assert not records.withdraw(job.id)
    running = _running(records)
    assert not records.drop(running.id)
    assert not records.withdraw(running.id)
    assert not records.list("alice", State.ACCEPTED, "", 9)


def test_the_oldest_job_that_is_due_is_next(records: Records) -> None:
    late = _accepted(records, due=NOW + 9)
    second = _accepted(records, due=NOW + 2)
    table = _accepted(records, due=NOW + 3, kind="table")
    first = _accepted(records, due=NOW + 1)
    records.queued(second.id, NOW)
    got = [records.next(["score", "table"], "w", NOW + 5, LEASE) for _ in range(4)]
    assert [job and job.id for job in got] == [first.id, second.id, table.id, None]
    assert records.next(["table"], "w", NOW + 9, LEASE) is None
    assert records.next(["score"], "w", NOW + 9, LEASE) is not None
    assert records.get(late.id) != late


def test_a_job_without_a_lease_is_next(records: Records) -> None:
    job = _running(records)
    assert records.next(["score"], "w", NOW + LEASE - 1, LEASE) is None
    taken = records.next(["score"], "other", NOW + LEASE, LEASE)
    assert taken is not None
    assert (taken.id, taken.attempts) == (job.id, 2)


def test_a_lease_longer_than_any_is_over_for_the_clock_went_back(records: Records) -> None:
    job = _accepted(records)
    ahead = NOW + 7200
    held = records.claim(job.id, "w", ahead, LEASE)
    assert held is not None
    assert records.claim(job.id, "other", ahead - LONGEST_PAUSE, LEASE) is None, "clocks differ"
    assert records.strays(ahead - LONGEST_PAUSE, 9) == []
    assert records.strays(NOW, 9) == [held]
    records.progress(job.id, held.fence, NOW, LEASE, done=1, total=2, checkpoint="", version="")
    assert records.strays(NOW, 9) == [], "its worker lives"
    assert records.claim(job.id, "other", NOW, LEASE) is None
    records.progress(job.id, held.fence, ahead, LEASE, done=1, total=2, checkpoint="", version="")
    taken = records.next(["score"], "other", NOW, LEASE)
    assert taken is not None
    assert (taken.id, taken.attempts, taken.lease_until) == (job.id, 2, NOW + LEASE)


def test_what_the_queue_owes_a_worker_is_unattended(records: Records) -> None:
    accepted = _accepted(records)
    assert not records.unattended(NOW + ACCEPTED_SECONDS - 1, 9)
    assert [job.id for job in records.unattended(NOW + ACCEPTED_SECONDS, 9)] == [accepted.id]
    records.queued(accepted.id, NOW + 20)
    assert not records.unattended(NOW + 20 + QUEUED_SECONDS - 1, 9)
    assert records.unattended(NOW + 20 + QUEUED_SECONDS, 9)
    claimed = records.claim(accepted.id, "w", NOW + 20, LEASE)
    assert claimed is not None
    assert not records.unattended(NOW + 20 + LEASE - 1, 9)
    assert records.unattended(NOW + 20 + LEASE, 9)
    records.queued(accepted.id, NOW + 20 + LEASE + 1)
    assert not records.unattended(NOW + 20 + LEASE + 2, 9)


def test_a_job_to_be_tried_again_is_unattended_once_it_is_due(records: Records) -> None:
    job = _running(records)
    records.retry(job.id, job.fence, NOW, NOW + 5, "")
    assert not records.unattended(NOW + 4, 9)
    assert [found.id for found in records.unattended(NOW + 5, 9)] == [job.id]
    records.queued(job.id, NOW + 5)
    assert not records.unattended(NOW + 6, 9)


def test_a_job_expires_after_the_time_that_it_is_kept(records: Records) -> None:
    ended, _ = _ended(records, State.SUCCEEDED), _running(records)
    assert not records.expired(NOW + KEEP - 1, 9)
    assert [job.id for job in records.expired(NOW + KEEP, 9)] == [ended.id]
    assert records.drop(ended.id)
    assert not records.expired(NOW + KEEP, 9)


def test_jobs_are_counted_by_kind_and_state(records: Records) -> None:
    assert records.counts() == {}
    _accepted(records, kind="table")
    _accepted(records)
    _ended(records, State.FAILED)
    _ended(records, State.FAILED)
    running = _running(records)
    assert [job.id for job in records.running(9)] == [running.id]
    assert records.counts() == {
        "score": {State.ACCEPTED: 1, State.FAILED: 2, State.RUNNING: 1},
        "table": {State.ACCEPTED: 1},
    }


def test_a_clock_that_goes_back_delays_no_job(records: Records) -> None:
    first, again = _accepted(records), _running(records)
    records.retry(again.id, again.fence, NOW, NOW + 50, "a: b")
    assert records.due(["score"], NOW - 5, 9) == []
    assert records.due(["score"], NOW - 3600, 9) == [first.id, again.id]
    for job in (first, again):
        claimed = records.next(["score"], "w", NOW - 3600, LEASE)
        assert claimed
        assert (claimed.id, claimed.state) == (job.id, State.RUNNING)


def test_the_oldest_that_waits_is_known_by_kind(records: Records) -> None:
    _accepted(records, due=NOW - 5)
    _accepted(records, due=NOW - 9)
    _accepted(records, due=NOW + 9, kind="table")
    _running(records, due=NOW - 99)
    assert records.oldest_waiting(NOW) == {"score": 9.0}


def test_the_end_of_a_job_with_a_webhook_is_an_event(records: Records) -> None:
    ended = _ended(records, State.SUCCEEDED, webhook="hook")
    _ended(records, State.SUCCEEDED)
    (event,) = events(records, NOW)
    assert (event.job, event.owner, event.webhook) == (ended.id, "alice", "hook")
    assert (event.type, event.attempts) == ("job.succeeded", 0)
    assert not events(records, NOW + LEASE - 1)
    (again,) = events(records, NOW + LEASE)
    assert again.id == event.id
    records.sent(event)
    assert not events(records, NOW + 99 * LEASE)


def test_every_way_to_an_end_makes_one_event(records: Records) -> None:
    job = _accepted(records, webhook="hook")
    records.cancel(job.id, job.owner, NOW)
    records.cancel(job.id, job.owner, NOW)
    dead = _running(records, webhook="hook", max_attempts=1)
    records.claim(dead.id, "w", NOW, LEASE, redelivered=True)
    killed = _accepted(records, webhook="hook")
    records.kill(killed.id, NOW, "a: b")
    assert sorted((event.job, event.type) for event in events(records, NOW)) == [
        (job.id, "job.cancelled"),
        (dead.id, "job.dead"),
        (killed.id, "job.dead"),
    ]


def test_a_job_that_was_brought_back_ends_with_another_event(records: Records) -> None:
    dead = _ended(records, State.DEAD, webhook="hook")
    records.requeue(dead.id, NOW)
    records.kill(dead.id, NOW, "a: b")
    first, second = events(records, NOW)
    assert first.job == second.job
    assert first.id != second.id


def test_a_failed_delivery_is_tried_again_until_it_is_given_up(records: Records) -> None:
    _ended(records, State.SUCCEEDED, webhook="hook")
    (event,) = events(records, NOW)
    records.unsent(event, NOW + 5, "status: 500", dead=False)
    assert not events(records, NOW + 4)
    (again,) = events(records, NOW + 5)
    assert (again.attempts, again.error) == (1, "status: 500")
    records.unsent(event, NOW + 5, "status: 410", dead=True)
    assert not events(records, NOW + 99 * LEASE)
    (dead,) = records.dead_events(9)
    assert (dead.id, dead.attempts, dead.error) == (event.id, 2, "status: 410")
    records.sent(event)
    assert not records.dead_events(9)


def test_two_senders_never_get_the_same_event(records: Records) -> None:
    for _ in range(20):
        _ended(records, State.SUCCEEDED, webhook="hook")
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: events(records, NOW), range(8)))
    ids = [event.id for some in taken for event in some]
    assert len(ids) == len(set(ids)) == 20


def test_each_endpoint_is_owed_its_own_events(records: Records) -> None:
    later = _ended(records, State.SUCCEEDED, webhook="hook")
    first = _accepted(records, webhook="hook", owner="bob")
    records.cancel(first.id, "bob", NOW - 9)
    assert records.owed() == {"alice:hook": NOW, "bob:hook": NOW - 9}
    assert records.take_event("bob:hook", NOW - 10, NOW) is None
    (taken, *more) = events(records, NOW)
    assert [taken.job, *(event.job for event in more)] == [later.id, first.id]
    assert records.owed() == {"alice:hook": NOW + LEASE, "bob:hook": NOW + LEASE}
    for event in (taken, *more):
        records.unsent(event, NOW, "", dead=True)
    assert records.owed() == {}


def test_an_event_due_later_than_any_is_due_for_the_clock_went_back(records: Records) -> None:
    _ended(records, State.SUCCEEDED, webhook="hook")
    (event,) = events(records, NOW)
    records.unsent(event, NOW + 900, "status: 500", dead=False)
    assert records.take_event("alice:hook", NOW, NOW + 60, later=NOW + 900) is None
    taken = records.take_event("alice:hook", NOW, NOW + 60, later=NOW + 899)
    assert taken is not None
    assert taken.id == event.id
    assert records.owed() == {"alice:hook": NOW + 60}


def test_two_workers_never_get_the_same_job(records: Records) -> None:
    jobs = {_accepted(records).id for _ in range(20)}

    def work(worker: int) -> list[str]:
        got = []
        while job := records.next(["score"], f"w{worker}", NOW + 1, LEASE):
            got.append(job.id)
        return got

    with ThreadPoolExecutor(8) as threads:
        done = [job for got in threads.map(work, range(8)) for job in got]
    assert sorted(done) == sorted(jobs)


def test_the_table_has_no_way_out_of_an_end_but_from_dead() -> None:
    ways = {(state, event) for state, event in TRANSITIONS if state in TERMINAL}
    assert ways == {(State.DEAD, Event.REQUEUE)}
    for state, event in product(State, Event):
        if (state, event) not in TRANSITIONS:
            with pytest.raises(TransitionError):
                next_state(state, event)


def test_ids_are_sorted_by_time_and_say_it() -> None:
    earlier, later = new_id(NOW), new_id(NOW + 0.001)
    assert earlier < later
    assert len(earlier) == len(later) == 26
    assert created_at(later) == pytest.approx(NOW + 0.001)
    assert created_at("../etc/passwd") > NOW
    assert len({new_id(NOW) for _ in range(1000)}) == 1000


def test_a_position_is_the_place_among_the_waiting_of_a_kind(records: Records) -> None:
    late = _accepted(records, due=NOW + 5)
    first, second = _accepted(records), _accepted(records)
    table = _accepted(records, kind="table")
    _running(records, due=NOW - 1)
    _ended(records, State.FAILED, due=NOW - 1)
    assert [records.position(job) for job in (first, second, late, table)] == [1, 2, 3, 1]
    records.cancel(first.id, first.owner, NOW)
    assert [records.position(job) for job in (second, late)] == [1, 2]
