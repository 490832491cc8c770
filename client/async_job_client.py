"""Jobs over HTTP for coroutines."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, BinaryIO, Final, Self, TypeVar

from client import job_calls
from client.async_transport import AsyncTransport, Pieces, pieces_of
from client.calls import Call
from client.job_calls import DEFAULT_URL, LONGEST_WAIT, TIMEOUT, Job, Waiting
from client.retries import AsyncRetries

T = TypeVar("T")

# The service ends an upload that is slower for long, in bytes a second.
_SLOWEST: Final = 16 * 1024


class AsyncJobClient:
    """Submits jobs, as a JobClient does. Methods raise Refused or Unreachable.

    Any number of coroutines of one event loop may share it: `connections` of their calls are under
    way at a time, and one that waits for a job is. A call that is cancelled ends its connection;
    the job goes on.
    """

    def __init__(
        self,
        key: str,
        url: str = DEFAULT_URL,
        *,
        timeout: float = TIMEOUT,
        connections: int = 16,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`timeout` is that of one request. Raises ValueError for a wrong address."""
        self._transport = AsyncTransport(url, key, connections)
        self._timeout = timeout
        self._retries = AsyncRetries(sleep=sleep)
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.close()

    async def submit(
        self,
        given: Any,
        model: str = "regno",
        *,
        detail: bool = False,
        webhook: str = "",
        idempotency_key: str = "",
    ) -> Job:
        """As `JobClient.submit`."""
        call = job_calls.submitted(
            given, model, detail=detail, webhook=webhook, idempotency_key=idempotency_key
        )
        return await self._again(lambda: self._asked(call))

    async def submit_file(
        self,
        file: BinaryIO,
        filename: str,
        model: str = "regno",
        *,
        idempotency_key: str = "",
        note: Callable[[int], object] = lambda _: None,
        **arguments: str,
    ) -> Job:
        """As `JobClient.submit_file`; the file is read in threads."""
        call = job_calls.submitted_file(filename, model, idempotency_key, arguments)
        length = file.seek(0, 2)
        seconds = self._timeout + length / _SLOWEST

        async def send() -> Job:
            file.seek(0)
            return await self._asked(call, Pieces(length, pieces_of(file, note)), seconds)

        return await self._again(send)

    async def job(self, job: str, wait: int = 0) -> Job:
        """As `JobClient.job`."""
        return await self._asked(job_calls.job(job, wait))

    async def wait(
        self,
        job: str,
        seconds: float | None = None,
        note: Callable[[Job], object] = lambda _: None,
        step: int = LONGEST_WAIT,
    ) -> Job:
        """As `JobClient.wait`."""
        waiting = Waiting(seconds, step)
        while True:
            left = waiting.left()
            found = await self._again(lambda: self.job(job, max(0, int(left))))  # noqa: B023 - at once
            note(found)
            if waiting.is_over(found):
                return found
            if left < 1:
                await self._sleep(max(0.0, left))

    async def result(self, job: str) -> bytes:
        """As `JobClient.result`."""
        return await self._asked(job_calls.result(job))

    async def cancel(self, job: str) -> Job:
        """As `JobClient.cancel`."""
        return await self._asked(job_calls.cancelled(job))

    async def jobs(self, state: str = "", limit: int | None = None) -> AsyncIterator[Job]:
        """As `JobClient.jobs`."""
        after, left = "", limit
        while left is None or left > 0:
            page = await self._asked(job_calls.page(state, after, left))
            for job in page.jobs:
                yield job
            after = page.after
            left = None if left is None else left - len(page.jobs)
            if not after:
                return

    async def _asked(
        self, call: Call[T], content: Pieces | None = None, seconds: float | None = None
    ) -> T:
        body = call.body if content is None else content
        end = self._timeout if seconds is None else seconds
        return call.read(
            await self._transport.request(call.method, call.path, call.headers, body, end)
        )

    async def _again(self, send: Callable[[], Awaitable[Job]]) -> Job:
        """Call once more, a few times, where that may help."""
        return await self._retries.call(send, may_pass=job_calls.may_pass)
