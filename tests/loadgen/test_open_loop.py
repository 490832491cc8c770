"""The open-loop stream that tests and tools send."""

import pytest

from loadgen.common import client
from loadgen.common.open_loop import Job, streaming
from loadgen.common.processes import free_port
from loadgen.common.schedule import Level
from tests.support.load import double, flooding

pytestmark = pytest.mark.slow


def test_a_stream_sends_every_due_request_in_turn() -> None:
    requests = [client.raw("POST", "/reg/", "k", body) for body in (b"{}", b"[]")]
    with double() as url:
        job = Job(int(url.rpartition(":")[2]), [Level(1, 30), Level(1, 20)], 4, requests)
        with streaming(job) as stream:
            stats = stream.wait()
    assert stats.counts() == {"200": 50}
    # From the first request, which may be late, to the last one, due after 1.95, which a timer may
    # send a little early.
    assert stats.seconds > 1.9 - stats.ends["200"].due["max"] / 1e3
    [(version, body)] = stats.bodies
    assert version == ""
    assert "positive" in body


def test_a_stream_that_is_stopped_sends_no_more() -> None:
    with double() as url, flooding(int(url.rpartition(":")[2]), 20, 2) as stream:
        stats = stream.stop()
    assert sum(stats.counts().values()) < 20 * 600


def test_requests_to_a_port_without_a_listener_are_refused() -> None:
    with flooding(free_port(), 20, 2, seconds=1, kept=False) as stream:
        assert stream.wait().counts() == {"refused": 20}
