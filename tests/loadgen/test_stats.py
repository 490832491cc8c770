"""The counts, the requests of a sender, and the figures of stages."""

import time
from typing import Any, Final

import gevent
import pytest

from loadgen.common import schedule
from loadgen.load import evaluation, limits
from loadgen.load.sender import Sender
from loadgen.load.shapes import Generator, Shape, Stage
from loadgen.load.stats import (
    LOST,
    UNANSWERED,
    UNSENT,
    Completed,
    JobEnd,
    Second,
    Stats,
    packed,
    unpacked,
)
from loadgen.load.verdict import Outcome
from loadgen.load.workload import Kind, Mix, RequestSpec

LIMITS: Final = limits.read()["load_test"]
REQUESTS: Final = [RequestSpec("single", b"{}", {})]


def shape(*stages: Stage, **values: Any) -> Shape:
    usual = {
        "name": "made-up", "about": "", "limits": "load_test", "connections": 4,
        "seeks_knee": False, "mix": Mix(single=1),
        "generator": Generator(max_lateness_p99_ms=10, max_cpu=0.9, timeout_seconds=3),
    }  # fmt: skip
    return Shape(**{**usual, **values, "stages": stages})


def done(due: float, took: float, kind: Kind = "single", fault: str | None = None) -> Completed:
    return Completed(kind, due, due + took, fault, golden=False)


# Counting


def test_right_scores_are_counted_by_the_version_that_the_reply_names() -> None:
    one, other = Stats(), Stats()
    for due, model in ((0.1, "a"), (0.2, "a"), (0.3, None)):
        one.add(Completed("single", due, due, None, model=model))
    one.add(Completed("bad", 0.4, 0.4, None, model="a"))  # refused, not scored
    one.add(Completed("single", 0.5, 0.5, "single: status 500, not 200", model="a"))
    other.add(Completed("array", 0.6, 0.6, None, model="b"))
    one.merge(unpacked(packed(other)))
    assert one.seconds[0].models == {"a": 2, "": 1, "b": 1}


def test_latency_belongs_to_the_second_it_was_due_in_and_rate_to_that_of_the_reply() -> None:
    stats = Stats()
    stats.add(done(1.9, 0.4))
    assert stats.seconds[1].scored.percentile_ms(1.0) == pytest.approx(400, abs=0.1)
    assert (stats.seconds[1].done, stats.seconds[1].right) == (1, 0)
    assert stats.seconds[2].right == 1


def test_latencies_of_rejected_requests_do_not_count_as_those_of_scores() -> None:
    stats = Stats()
    stats.add(done(0, 0.02))
    stats.add(done(0, 0.001, "bad"))
    stats.add(done(0, 0.001, "wrong_key"))
    assert stats.seconds[0].scored.percentile_ms(0.5) == 20
    assert stats.seconds[0].right == 3
    assert stats.all_latencies().count == 3


def test_a_job_is_counted_when_it_is_accepted_and_when_it_ends() -> None:
    stats, other = Stats(), Stats()
    stats.add(done(1.5, 0.02, "job"))
    stats.add(done(1.6, 0.02, "table", fault="table: status 503, not 202"))
    other.add_end(JobEnd(1.5, 2.75, None, rows=7, golden=True, model="m1"))
    stats.merge(unpacked(packed(other)))
    due, later = stats.seconds[1], stats.seconds[2]
    assert (due.accepted, due.ended, due.golden, due.models) == (1, 1, 1, {"m1": 1})
    assert due.scored.percentile_ms(1.0) == 20
    assert due.finished.percentile_ms(1.0) == 1250
    assert (due.rows, later.rows) == (0, 7)


def test_a_job_that_failed_has_an_end_but_no_rows() -> None:
    stats = Stats()
    stats.add(done(0, 0.02, "job"))
    stats.add_end(JobEnd(0, 0.5, "job: the job ended as dead", rows=1, golden=True))
    second = stats.seconds[0]
    assert (second.accepted, second.ended, second.rows, second.golden) == (1, 1, 0, 0)
    assert second.failures == {"job: the job ended as dead": 1}


def test_a_job_without_an_end_is_lost_and_counts_as_slow() -> None:
    jobs = shape(Stage(2, 1.0, judged=True), limits="job_test", mix=Mix(job=1))
    stats = Stats()
    for due in (0.0, 1.0):
        stats.at(due).sent += 1
        stats.add(done(due, 0.02, "job"))
    stats.add_end(JobEnd(0.0, 0.5, None, rows=1, model="m1"))
    figures = evaluation.figures(stats, jobs, 0, now=62.0)
    assert (figures.lost, figures.failures) == (1, {LOST: 1})
    assert figures.finished.percentile_ms(1.0) == 60_000
    assert [row["finished p99"] for row in evaluation.rows(stats, jobs, now=62.0)] == [500, 60_000]


def test_failures_are_counted_by_reason_and_are_not_right() -> None:
    stats = Stats()
    for _ in range(3):
        stats.add(done(0, 0.01, fault="single: status 503, not 200"))
    assert stats.seconds[0].failures == {"single: status 503, not 200": 3}
    assert stats.seconds[0].right == 0


def test_stats_of_several_generators_add_up_after_their_transport() -> None:
    one, other = Stats(), Stats()
    for stats, cpu in ((one, 0.2), (other, 0.7)):
        stats.add(done(0, 0.01, fault="x"))
        stats.at(0).cpu = cpu
    one.merge(unpacked(packed(other)))
    assert one.seconds[0].failures == {"x": 2}
    assert one.seconds[0].scored.count == 2
    assert one.seconds[0].cpu == 0.7


# Stages


def filled(seconds: int, rate: int, took: float = 0.002, late: float = 0.0) -> Stats:
    stats = Stats()
    for number in range(seconds * rate):
        due = number / rate
        stats.at(due).sent += 1
        stats.at(due).late.add(late)
        stats.add(done(due, took))
    return stats


def test_a_stage_is_judged_by_its_own_seconds() -> None:
    course = shape(Stage(2, 500.0, start=1.0), Stage(4, 500.0, judged=True))
    stats = filled(6, 500)
    stats.add(done(0.5, 2.9, fault="in the ramp"))
    (judged,) = evaluation.stage_results(stats, course, LIMITS, now=8)
    assert judged.figures.sent == judged.figures.planned == 2000
    assert judged.outcome is Outcome.HELD


def test_a_stage_is_not_judged_before_it_has_ended() -> None:
    course = shape(Stage(3, 500.0, judged=True), Stage(3, 500.0, judged=True))
    assert len(evaluation.stage_results(filled(6, 500), course, LIMITS, now=7.9)) == 1


def test_what_was_never_sent_or_answered_counts_as_failed_and_slowest() -> None:
    course = shape(Stage(4, 500.0, judged=True))
    stats = filled(3, 500)
    stats.at(3.0).sent += 100
    figures = evaluation.figures(stats, course, 0, now=6)
    assert figures.failures == {UNSENT: 400, UNANSWERED: 100}
    assert figures.latency.percentile_ms(0.99) == 3000  # the time-out
    later = evaluation.figures(stats, course, 0, now=20)
    assert (
        later.latency.percentile_ms(0.99) == 16_000
    )  # longer than it would have waited for a reply


def test_plots_show_what_was_lost_once_it_can_no_longer_come() -> None:
    course = shape(Stage(4, 500.0, judged=True))
    stats = filled(3, 500)
    stats.at(3.0).sent += 100
    shown = [(row["failed"], row["p50"]) for row in evaluation.rows(stats, course, now=20)]
    assert shown == [(0, 2.0)] * 3 + [(500, 16_000)]
    unsettled = evaluation.rows(stats, course, now=4)
    assert [row["failed"] for row in unsettled] == [0] * 4


@pytest.mark.parametrize("rate", [37.7, 500.0])
def test_each_second_has_what_is_due_in_it(rate: float) -> None:
    """A ramp's moments are roots: one may lie a rounding before its second."""
    course = shape(
        Stage(7, rate, start=0.3), Stage(5, rate, judged=True), Stage(3, 1.0, start=rate)
    )
    stats = Stats()
    for due in schedule.due_times(course.stages):
        stats.at(due).sent += 1
        stats.add(done(due, 0.002))
    assert {row["failed"] for row in evaluation.rows(stats, course, now=99)} == {0}


def test_without_any_request_nothing_ran() -> None:
    course = shape(Stage(4, 500.0, judged=True))
    (judged,) = evaluation.stage_results(Stats(), course, LIMITS, now=11)
    assert judged.outcome is Outcome.NOTHING_RAN


def test_a_late_generator_is_known_from_its_counts() -> None:
    course = shape(Stage(4, 500.0, judged=True))
    (judged,) = evaluation.stage_results(filled(4, 500, late=0.05), course, LIMITS, now=11)
    assert judged.outcome is Outcome.GENERATOR_LAGGED


def test_the_line_of_a_second_has_target_and_replies() -> None:
    course = shape(Stage(4, 500.0, judged=True))
    line = evaluation.line(evaluation.row(filled(1, 500, took=0.0).at(0), course, 0))
    assert "target    500/s" in line
    assert "right    500" in line
    empty = evaluation.line(evaluation.row(Stats().at(3), course, 3))
    assert empty.count(" - ") == 3


# Senders


def serve(sender: Sender, takes: float, due: list[float]) -> None:
    """One user, whose calls take so long."""
    for call in sender.calls():
        due.append(call.due)
        gevent.sleep(takes)
        sender.done(done(call.due, sender.now() - call.due))


def run(rate: float, users: int, takes: float = 0.0) -> tuple[Second, list[list[float]]]:
    """One second of a level rate, with a few users."""
    total = Stats()
    sender = Sender(total.merge)
    sender.begin(shape(Stage(1, rate, judged=True)), REQUESTS, time.perf_counter(), (0, 1))
    dues: list[list[float]] = [[] for _ in range(users)]
    # The timeout counts from when the loop looked at the clock last, maybe many tests ago.
    gevent.get_hub().loop.update_now()
    gevent.joinall([gevent.spawn(serve, sender, takes, due) for due in dues], timeout=10)
    sender.end()
    return total.between(0, 9), dues


def test_users_share_the_schedule_and_send_nothing_early() -> None:
    seen, dues = run(50, users=3)
    assert sorted(due for share in dues for due in share) == [n / 50 for n in range(50)]
    assert all(dues)
    assert seen.sent == seen.done == 50
    assert min(seen.scored.steps) >= 0


def test_what_had_to_wait_for_a_free_user_is_slow_and_not_late() -> None:
    seen, _ = run(40, users=1, takes=0.05)
    # Forty calls of 50 ms take 2 s; the last was due after 0.975 s.
    assert (seen.scored.percentile_ms(1.0) or 0) >= 1000
    assert seen.sent == 40
    # The wait counts as latency, and is far more than the lateness of a process that can run.
    assert (seen.late.percentile_ms(0.5) or 0) < (seen.scored.percentile_ms(0.5) or 0)


def test_a_generator_that_can_not_run_is_late() -> None:
    total = Stats()
    sender = Sender(total.merge)
    sender.begin(shape(Stage(1, 50.0, judged=True)), REQUESTS, time.perf_counter(), (0, 1))
    user = gevent.spawn(serve, sender, 0.0, [])
    gevent.sleep(0.1)
    time.sleep(0.2)  # what a process without a core does; no other greenlet runs meanwhile
    user.join()
    sender.end()
    late = total.between(0, 9).late
    assert (late.percentile_ms(1.0) or 0) >= 150
    # A fifth of the time, however few readings of the clock fell into it.
    assert (late.percentile_ms(0.9) or 0) >= 80
    assert total.at(0).cpu < 0.9
