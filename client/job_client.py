"""Jobs over HTTP for Python programs."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from typing import Any, BinaryIO, TypeVar

from client import job_calls
from client.calls import Call, Reply
from client.job_calls import DEFAULT_URL, LONGEST_WAIT, TIMEOUT, Job, Waiting
from client.retries import Retries
from client.transport import Body, Transport, pieces_of

T = TypeVar("T")


class JobClient:
    """Submits jobs and fetches their results. Methods raise Refused or Unreachable.

    A submission that breaks off, or that the service can't take at the moment, is sent again with
    the same idempotency key: it makes one job, however often it was sent.
    """

    def __init__(
        self,
        key: str,
        url: str = DEFAULT_URL,
        timeout: float = TIMEOUT,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`key` is the `x-api-key`. Raises ValueError for an invalid address."""
        self._transport = Transport(url, key, timeout)
        self._retries = Retries(sleep=sleep)
        self._sleep = sleep

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    def submit(
        self,
        given: Any,
        model: str = "regno",
        *,
        detail: bool = False,
        webhook: str = "",
        idempotency_key: str = "",
    ) -> Job:
        """Submit the body of the model's own route: one request, or a list of them."""
        call = job_calls.submitted(
            given, model, detail=detail, webhook=webhook, idempotency_key=idempotency_key
        )
        return self._again(lambda: self._asked(call))

    def submit_file(
        self,
        file: BinaryIO,
        filename: str,
        model: str = "regno",
        *,
        idempotency_key: str = "",
        note: Callable[[int], object] = lambda _: None,
        **arguments: str,
    ) -> Job:
        """Submit a table: CSV, JSON lines, Parquet or Excel, by the suffix of its name.

        `file` must be seekable. `arguments` are further ones: detail, format, sep, encoding,
        decimal, webhook. `note` gets the length of each piece that was sent.
        """
        call = job_calls.submitted_file(filename, model, idempotency_key, arguments)
        length = file.seek(0, 2)

        def send() -> Job:
            file.seek(0)
            return self._asked(call, pieces_of(file, note), length)

        return self._again(send)

    def job(self, job: str, wait: int = 0) -> Job:
        """The job; after its end, or after `wait` seconds (at most 30)."""
        return self._asked(job_calls.job(job, wait))

    def wait(
        self,
        job: str,
        seconds: float | None = None,
        note: Callable[[Job], object] = lambda _: None,
        step: int = LONGEST_WAIT,
    ) -> Job:
        """The job when it has ended, or after so many seconds; `note` gets it every `step` seconds.

        If the service can't be reached for a moment, the request is repeated.
        """
        waiting = Waiting(seconds, step)
        while True:
            left = waiting.left()
            found = self._again(lambda: self.job(job, max(0, int(left))))  # noqa: B023 - called at once
            note(found)
            if waiting.is_over(found):
                return found
            if left < 1:
                self._sleep(max(0.0, left))

    def result(self, job: str) -> bytes:
        """The result: the body of the synchronous reply, or the content of the file."""
        return self._asked(job_calls.result(job))

    def open_result(self, job: str) -> AbstractContextManager[HTTPResponse]:
        """The reply with the result, to be read piece by piece."""
        return self._transport.request("GET", job_calls.result_path(job))

    def cancel(self, job: str) -> Job:
        """Cancel a job. One that runs is still `running` in the reply, and `cancelling`."""
        return self._asked(job_calls.cancelled(job))

    def jobs(self, state: str = "", limit: int | None = None) -> Iterator[Job]:
        """The jobs of this key, newest first, as many as there are or as the limit says."""
        after, left = "", limit
        while left is None or left > 0:
            page = self._asked(job_calls.page(state, after, left))
            yield from page.jobs
            after = page.after
            left = None if left is None else left - len(page.jobs)
            if not after:
                return

    def _asked(self, call: Call[T], content: Body = None, length: int | None = None) -> T:
        body = call.body if content is None else content
        with self._transport.request(
            call.method, call.path, call.headers, body, length
        ) as response:
            reply = Reply(response.status, response.headers, response.read())
        return call.read(reply)

    def _again(self, send: Callable[[], Job]) -> Job:
        """Call once more, a few times, where that may help."""
        return self._retries.call(send, may_pass=job_calls.may_pass)
