"""Webhooks: which endpoints are called, how messages are signed, when they are sent again."""

import json
from concurrent.futures import wait
from pathlib import Path
from time import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.jobs.job import Job
from service.jobs.records import Event, Records
from service.jobs.sqlite_records import SqliteRecords
from service.jobs.webhook_sender import FIRST_PAUSE, GREATEST_PAUSE, SCHEDULE, Sender
from service.jobs.webhooks import BadEndpoints, Endpoints, parsed, payload, signed
from service.outbound.request import Unreachable
from tests.support.server import eventually
from tests.support.webhooks import SECRET, receiving, silent

LOCAL = ("127.0.0.1",)
OTHER = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
EVENT = Event(
    id="job-1-1", job="job-1", owner="camera", webhook="done", model="regno",
    type="job.succeeded", created=1_764_500_000.0,
)  # fmt: skip


def _file(folder: Path, text: str) -> Path:
    path = folder / "webhooks"
    path.write_text(text)
    return path


def test_endpoints_are_read_from_lines_with_comments() -> None:
    text = f"# who\ncamera done https://example.com/a {SECRET} {OTHER} # new\n\n"
    (endpoint,) = parsed(text, ())
    assert endpoint[:3] == ("camera", "done", "https://example.com/a")
    assert list(map(len, endpoint.secrets)) == [24, 24]


@pytest.mark.parametrize(
    "line",
    [
        "camera done https://example.com/",
        f"camera done http://example.com/ {SECRET}",
        f"camera do:ne https://example.com/ {SECRET}",
        "camera done https://example.com/ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "camera done https://example.com/ whsec_c2hvcnQ=",
        "camera done https://example.com/ whsec_***",
    ],
)
def test_a_line_that_can_not_be_used_is_named_without_its_secret(line: str) -> None:
    with pytest.raises(BadEndpoints) as raised:
        list(parsed(f"\n{line}\n", ()))
    assert "line 2" in str(raised.value)
    assert line.rsplit(maxsplit=1)[-1] not in str(raised.value)


def test_a_changed_file_is_read_again_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    path = _file(tmp_path, f"camera done https://example.com/a {SECRET}\n")
    endpoints = Endpoints(path, ())
    path.write_text(f"camera done https://example.com/other {SECRET}\n")
    endpoints.reload()
    path.write_text("nonsense\n")
    with pytest.raises(BadEndpoints):
        endpoints.reload()
    known = endpoints.of("camera", "done")
    assert known
    assert known.url == "https://example.com/other"
    assert endpoints.of("other", "done") is None


def test_receivers_verify_a_message_by_either_secret() -> None:
    (endpoint,) = parsed(f"camera done https://example.com/a {SECRET} {OTHER}\n", ())
    body = payload(EVENT)
    headers = signed(EVENT.id, body, endpoint.secrets, time())
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(body, headers)["data"]["id"] == "job-1"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"job-1", b"job-2"), headers)


def test_a_message_says_what_ended_and_where_its_result_is() -> None:
    assert json.loads(payload(EVENT)) == {
        "type": "job.succeeded",
        "timestamp": "2025-11-30T10:53:20Z",
        "data": {
            "id": "job-1",
            "model": "regno",
            "state": "succeeded",
            "result_url": "/jobs/job-1/result",
        },
    }


class Outbox:
    """Records in SQLite with one job that has ended, and a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.records: Records = SqliteRecords(folder)
        self.now = time()
        self.results: list[str] = []
        self.add("job-1", "camera")

    def add(self, job: str, owner: str) -> None:
        """Let another job end."""
        given = Job(
            id=job, owner=owner, kind="score", model="regno", fingerprint="", input="",
            media_type="", webhook="done", created=self.now, keep=3600,
        )  # fmt: skip
        self.records.accept(given, "", 100)
        self.records.cancel(job, owner, self.now)

    def count(self, result: str, _delay: float) -> None:
        """Note the result of an attempt."""
        self.results.append(result)

    def sender(self, folder: Path, url: str) -> Sender:
        """A sender to one endpoint."""
        path = _file(folder, f"camera done {url} {SECRET}\n")
        endpoints = Endpoints(path, LOCAL)
        return Sender(self.records, endpoints, lambda: self.now, self.count)

    def attempts(self, sender: Sender) -> int:
        """How many attempts were made with what is due."""
        before = len(self.results)
        wait(sender.send_due())
        return len(self.results) - before


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "jobs")


def test_an_event_is_sent_once(outbox: Outbox, tmp_path: Path) -> None:
    with receiving(204) as receiver:
        sender = outbox.sender(tmp_path, receiver.url)
        assert (outbox.attempts(sender), outbox.attempts(sender)) == (1, 0)
    ((headers, body),) = receiver.received
    Webhook(SECRET).verify(body, dict(headers))
    assert outbox.results == ["sent"]


def test_what_fails_is_tried_by_the_schedule_under_the_same_id_and_then_given_up(
    outbox: Outbox, tmp_path: Path
) -> None:
    with receiving(500) as receiver:
        sender = outbox.sender(tmp_path, receiver.url)
        for pause in (*SCHEDULE, 10**6):
            assert outbox.attempts(sender) == 1
            outbox.now += 0.79 * pause
            assert outbox.attempts(sender) == 0
            outbox.now += 0.42 * pause
    assert outbox.results == ["failed"] * len(SCHEDULE) + ["dead"]
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    (event,) = outbox.records.dead_events(10)
    assert event.error == "it answered 500"


def test_an_endpoint_that_says_gone_is_not_tried_again(outbox: Outbox, tmp_path: Path) -> None:
    with receiving(410) as receiver:
        assert outbox.attempts(outbox.sender(tmp_path, receiver.url)) == 1
    assert outbox.results == ["dead"]


def test_an_event_without_its_endpoint_is_dead(outbox: Outbox, tmp_path: Path) -> None:
    path = _file(tmp_path, f"camera other https://example.com/ {SECRET}\n")
    sender = Sender(outbox.records, Endpoints(path, ()), lambda: outbox.now, outbox.count)
    assert outbox.attempts(sender) == 1
    assert outbox.results == ["dead"]


class Unplugged:
    """An endpoint that can't be reached until it `answers`; `calls` counts the attempts."""

    def __init__(self, folder: Path, outbox: Outbox) -> None:
        self.answers = False
        self.calls = 0
        path = _file(folder, f"camera done http://127.0.0.1:1/ {SECRET}\n")
        endpoints = Endpoints(path, LOCAL)
        self.sender = Sender(
            outbox.records, endpoints, lambda: outbox.now, outbox.count, self._post
        )

    def _post(self, *_: object) -> int:
        self.calls += 1
        if not self.answers:
            raise Unreachable("ConnectionRefusedError")
        return 204


def test_an_endpoint_that_can_not_be_reached_is_tried_again(outbox: Outbox, tmp_path: Path) -> None:
    assert outbox.attempts(Unplugged(tmp_path, outbox).sender) == 1
    assert outbox.results == ["failed"]
    assert not outbox.records.dead_events(10)


def test_a_silent_endpoint_does_not_delay_the_messages_to_others(
    outbox: Outbox, tmp_path: Path
) -> None:
    for number in range(2, 51):
        outbox.add(f"job-{number}", "camera")
    outbox.add("job-51", "other")
    with receiving(204) as receiver, silent() as endpoint:
        path = _file(
            tmp_path, f"camera done {endpoint.url} {SECRET}\nother done {receiver.url} {SECRET}\n"
        )
        sender = Sender(outbox.records, Endpoints(path, LOCAL), lambda: outbox.now, outbox.count)
        begun = sender.send_due()
        eventually(lambda: bool(outbox.results), "the other's message is taken")
        assert outbox.results == ["sent"]  # and no attempt at the silent one has ended
        assert [json.loads(body)["data"]["id"] for _, body in receiver.received] == ["job-51"]
        eventually(lambda: endpoint.connections == 2, "two attempts are under way")
        endpoint.hang_up()
        wait(begun)
        assert outbox.results == ["sent", "failed", "failed"]
        assert (outbox.attempts(sender), endpoint.connections) == (0, 2)  # it is left alone


def test_an_endpoint_out_of_reach_is_left_alone_for_longer_each_time(
    outbox: Outbox, tmp_path: Path
) -> None:
    for number in range(2, 30):
        outbox.add(f"job-{number}", "camera")
    unplugged = Unplugged(tmp_path, outbox)
    wait(unplugged.sender.send_due())
    pauses, pause = [], FIRST_PAUSE
    while pause < 2 * GREATEST_PAUSE:
        outbox.now += min(pause, GREATEST_PAUSE) - 0.01
        assert outbox.attempts(unplugged.sender) == 0
        outbox.now += 0.01
        assert outbox.attempts(unplugged.sender) == 1
        pauses.append(min(pause, GREATEST_PAUSE))
        pause *= 2
    assert pauses == [5, 10, 20, 40, 80, 160, 300]
    outbox.now += GREATEST_PAUSE
    unplugged.answers = True
    outbox.now += 600  # until the failed ones are due again
    while outbox.attempts(unplugged.sender):
        pass
    assert outbox.results.count("sent") == 29


def test_what_is_overdue_by_days_for_an_endpoint_out_of_reach_is_given_up(
    outbox: Outbox, tmp_path: Path
) -> None:
    unplugged = Unplugged(tmp_path, outbox)
    assert outbox.attempts(unplugged.sender) == 1
    outbox.add("job-2", "camera")
    outbox.now += 3 * 86_400 + 60
    outbox.add("job-3", "camera")
    assert outbox.attempts(unplugged.sender) == 2
    assert outbox.results == ["failed", "failed", "dead"]
    (given_up,) = outbox.records.dead_events(9)
    assert (given_up.job, given_up.error) == ("job-1", "it can't be reached")
    assert unplugged.calls == 2  # it was not called for the one that was given up
    assert outbox.records.owed() == {"camera:done": outbox.now}


def test_a_delay_from_before_the_clock_went_back_is_not_waited_for(
    outbox: Outbox, tmp_path: Path
) -> None:
    unplugged = Unplugged(tmp_path, outbox)
    assert outbox.attempts(unplugged.sender) == 1
    unplugged.answers = True
    outbox.now -= 30 * 86_400
    assert outbox.attempts(unplugged.sender) == 1
    assert outbox.results == ["failed", "sent"]
    assert outbox.records.owed() == {}
