"""Jobs for coroutines: what is sent again, and when. With the real service: test_jobs_command."""

from io import BytesIO

import pytest

from client import AsyncJobClient, Refused, Unreachable
from loadgen.common.processes import free_port
from tests.support.scripted import CUT, Told, scripted
from tests.support.server import KEY

pytestmark = pytest.mark.anyio

_JOB = b'{"body":{"id":"j","state":"%s","model":"regno"},"status":"ok"}'
_STARTING = Told(409, b'{"body":"it is being accepted","status":"fail"}', (("Retry-After", "2"),))


class Pauses(list[float]):
    """The pauses between tries, which take no time here."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


async def test_a_submission_is_sent_again_with_the_same_key() -> None:
    pauses = Pauses()
    with scripted(CUT, _STARTING, Told(202, _JOB % b"queued")) as server:
        async with AsyncJobClient(KEY, server.url, sleep=pauses) as jobs:
            assert (await jobs.submit({})).id == "j"
    assert len({one.headers["idempotency-key"] for one in server.got}) == 1
    assert (len(server.got), pauses[1:]) == (3, [2.0])


async def test_a_file_is_sent_again_from_its_beginning() -> None:
    content, noted = b"x" * 600_000, list[int]()
    with scripted(CUT, Told(202, _JOB % b"queued")) as server:
        async with AsyncJobClient(KEY, server.url, sleep=Pauses()) as jobs:
            await jobs.submit_file(BytesIO(content), "in.csv", note=noted.append, sep=";")
    first, second = server.got
    assert (first.body, second.body) == (content, content)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert second.path == "/jobs?model=regno&filename=in.csv&sep=%3B"
    assert second.headers["content-type"] == "text/csv"
    assert sum(noted) == 2 * len(content)


async def test_a_wait_is_over_with_its_time() -> None:
    with scripted(Told(200, _JOB % b"running"), Told(200, b"[]")) as server:
        async with AsyncJobClient(KEY, server.url, sleep=Pauses()) as jobs:
            assert (await jobs.wait("j", seconds=0)).state == "running"
            with pytest.raises(Refused, match="not from this service"):
                await jobs.job("a/b", wait=7)
    assert [one.path for one in server.got] == ["/jobs/j?wait=0", "/jobs/a%2Fb?wait=7"]


async def test_nothing_there_is_unreachable() -> None:
    pauses = Pauses()
    async with AsyncJobClient(KEY, f"http://127.0.0.1:{free_port()}", sleep=pauses) as jobs:
        with pytest.raises(Unreachable):
            await jobs.submit({})
    assert len(pauses) == 3
