"""Jobs over HTTP for Python programs."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple
from urllib.parse import quote, urlencode
from uuid import uuid4

from client.retries import Retries
from client.transport import Body, Refused, Transport, body_of, pieces_of

DEFAULT_URL: Final = "http://127.0.0.1:5001"
# The media type of a file, by its suffix.
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/jsonl",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".gz": "application/gzip",
}
_ANY: Final = "application/octet-stream"
_JSON: Final = "application/json"
_ENDED: Final = frozenset(("succeeded", "failed", "cancelled", "expired", "dead"))
# The longest wait that the service grants, and how much longer its reply may take.
_LONGEST_WAIT: Final = 30
_SLACK: Final = 30.0


class Job(NamedTuple):
    """A job as the service shows it. `done` of `total` rows are done; `shown` has all it says."""

    id: str
    state: str
    model: str
    done: int
    total: int
    error: str
    shown: Mapping[str, Any]

    @property
    def has_ended(self) -> bool:
        """Whether the state is the last one."""
        return self.state in _ENDED

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> "Job":
        """A job out of a reply."""
        progress = shown.get("progress", {})
        return cls(
            id=shown["id"],
            state=shown["state"],
            model=shown["model"],
            done=progress.get("done", 0),
            total=progress.get("total", 0),
            error=shown.get("error", ""),
            shown=shown,
        )


class JobClient:
    """Submits jobs and fetches their results. Methods raise Refused or Unreachable.

    A submission that breaks off, or that the service can't take at the moment, is sent again with
    the same idempotency key: it makes one job, however often it was sent.
    """

    def __init__(
        self,
        key: str,
        url: str = DEFAULT_URL,
        timeout: float = _LONGEST_WAIT + _SLACK,
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
        body = {"model": model, "input": given, **({"webhook": webhook} if webhook else {})}
        text = json.dumps(body, ensure_ascii=False).encode()
        path = f"/jobs?detail={int(detail)}"
        return self._submit(path, _JSON, idempotency_key, lambda: (text, len(text)))

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
        path = f"/jobs?{urlencode({'model': model, 'filename': filename, **arguments})}"
        kind = MEDIA_TYPES.get(Path(filename).suffix.lower(), _ANY)
        length = file.seek(0, 2)

        def body() -> tuple[Body, int]:
            file.seek(0)
            return pieces_of(file, note), length

        return self._submit(path, kind, idempotency_key, body)

    def job(self, job: str, wait: int = 0) -> Job:
        """The job; after its end, or after `wait` seconds (at most 30)."""
        with self._transport.request("GET", f"{_path(job)}?wait={wait}") as response:
            return Job.of(body_of(response))

    def wait(
        self,
        job: str,
        seconds: float | None = None,
        note: Callable[[Job], object] = lambda _: None,
        step: int = _LONGEST_WAIT,
    ) -> Job:
        """The job when it has ended, or after so many seconds; `note` gets it every `step` seconds.

        If the service can't be reached for a moment, the request is repeated.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left = step if end is None else min(step, end - time.monotonic())
            found = self._again(lambda: self.job(job, max(0, int(left))))  # noqa: B023 - called at once
            note(found)
            if found.has_ended or (end is not None and time.monotonic() >= end):
                return found
            if left < 1:
                self._sleep(max(0.0, left))

    def result(self, job: str) -> bytes:
        """The result: the body of the synchronous reply, or the content of the file."""
        with self.open_result(job) as response:
            return response.read()

    def open_result(self, job: str) -> AbstractContextManager[HTTPResponse]:
        """The reply with the result, to be read piece by piece."""
        return self._transport.request("GET", f"{_path(job)}/result")

    def cancel(self, job: str) -> Job:
        """Cancel a job. One that runs is still `running` in the reply, and `cancelling`."""
        with self._transport.request("DELETE", _path(job)) as response:
            return Job.of(body_of(response))

    def jobs(self, state: str = "", limit: int | None = None) -> Iterator[Job]:
        """The jobs of this key, newest first, as many as there are or as the limit says."""
        after, left = "", limit
        while left is None or left > 0:
            page = min(100, left or 100)
            query = {"limit": str(page), "state": state, "after": after}
            query_string = urlencode({name: value for name, value in query.items() if value})
            with self._transport.request("GET", f"/jobs?{query_string}") as response:
                shown = body_of(response)
            yield from map(Job.of, shown["jobs"])
            after = shown["next"]
            left = None if left is None else left - page
            if not after:
                return

    def _submit(self, path: str, kind: str, key: str, body: Callable[[], tuple[Body, int]]) -> Job:
        headers = {"Content-Type": kind, "Idempotency-Key": key or uuid4().hex}

        def send() -> Job:
            content, length = body()
            with self._transport.request("POST", path, headers, content, length) as response:
                return Job.of(body_of(response))

        return self._again(send)

    def _again(self, call: Callable[[], Job]) -> Job:
        """Call once more, a few times, where that may help."""
        return self._retries.call(call, may_pass=_may_pass)


def _may_pass(refused: Refused) -> bool:
    """Also of a submission whose first copy is still being accepted."""
    return refused.may_pass or (refused.status == 409 and refused.retry_after > 0)


def _path(job: str) -> str:
    return f"/jobs/{quote(job, safe='')}"
