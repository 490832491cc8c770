"""What is sent for each question about jobs: for `JobClient` and `AsyncJobClient`."""

import json
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode
from uuid import uuid4

from client.calls import Call, Reply, body_of
from client.transport import Refused

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
# The longest wait that the service grants, and how long a reply may take at most.
LONGEST_WAIT: Final = 30
TIMEOUT: Final = LONGEST_WAIT + 30.0
_PAGE: Final = 100


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


class Page(NamedTuple):
    """A part of the list of jobs; `after` leads to the next one, "" for none."""

    jobs: list[Job]
    after: str


class Waiting:
    """How long a job is waited for: so many seconds, or until it has ended; in steps."""

    def __init__(self, seconds: float | None, step: int) -> None:
        self._end = None if seconds is None else monotonic() + seconds
        self._step = step

    def left(self) -> float:
        """The seconds of the next step."""
        return self._step if self._end is None else min(self._step, self._end - monotonic())

    def is_over(self, job: Job) -> bool:
        """Whether the job has ended, or the time has."""
        return job.has_ended or (self._end is not None and monotonic() >= self._end)


def submitted(
    given: Any, model: str, *, detail: bool, webhook: str, idempotency_key: str
) -> Call[Job]:
    """A job with the body of the model's own route."""
    body = {"model": model, "input": given, **({"webhook": webhook} if webhook else {})}
    text = json.dumps(body, ensure_ascii=False).encode()
    return Call("POST", f"/jobs?detail={int(detail)}", _headers(_JSON, idempotency_key), text, _job)


def submitted_file(
    filename: str, model: str, idempotency_key: str, arguments: Mapping[str, str]
) -> Call[Job]:
    """A job with a table, which is sent beside the call."""
    path = f"/jobs?{urlencode({'model': model, 'filename': filename, **arguments})}"
    kind = MEDIA_TYPES.get(Path(filename).suffix.lower(), _ANY)
    return Call("POST", path, _headers(kind, idempotency_key), None, _job)


def job(name: str, wait: int) -> Call[Job]:
    """The job; after its end, or after so many seconds."""
    return Call("GET", f"{_path(name)}?wait={wait}", {}, None, _job)


def result_path(name: str) -> str:
    """The path of a job's result."""
    return f"{_path(name)}/result"


def result(name: str) -> Call[bytes]:
    """The result of a job."""
    return Call("GET", result_path(name), {}, None, lambda reply: reply.body)


def cancelled(name: str) -> Call[Job]:
    """The job, which ends soon."""
    return Call("DELETE", _path(name), {}, None, _job)


def page(state: str, after: str, left: int | None) -> Call[Page]:
    """The newest jobs behind the cursor `after`, of which so many are wanted."""
    query = {"limit": str(min(_PAGE, left or _PAGE)), "state": state, "after": after}
    query_string = urlencode({name: value for name, value in query.items() if value})

    def read(reply: Reply) -> Page:
        shown = body_of(reply)
        return Page([Job.of(one) for one in shown["jobs"]], shown["next"] or "")

    return Call("GET", f"/jobs?{query_string}", {}, None, read)


def may_pass(refused: Refused) -> bool:
    """Whether it may succeed later; also of one whose first copy is still being accepted."""
    return refused.may_pass or (refused.status == 409 and refused.retry_after > 0)


def _job(reply: Reply) -> Job:
    return Job.of(body_of(reply))


def _headers(kind: str, idempotency_key: str) -> dict[str, str]:
    return {"Content-Type": kind, "Idempotency-Key": idempotency_key or uuid4().hex}


def _path(name: str) -> str:
    return f"/jobs/{quote(name, safe='')}"
