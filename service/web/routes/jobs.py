"""/jobs: submit work without waiting for it, show it, fetch its result, cancel it."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import PurePath
from time import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from flask import Blueprint, Response, request
from werkzeug.wsgi import wrap_file

from service.http import deadline, errors, reply
from service.http.authentication import Guard
from service.http.errors import Refused
from service.http.reply import Reply
from service.jobs.blobs import BlobMissing
from service.jobs.job import Job
from service.jobs.service import JobService
from service.jobs.states import TERMINAL, State
from service.jobs.webhooks import Endpoints
from service.telemetry.record import record_of
from service.web.arguments import check_known
from service.web.inputs import ARGUMENTS, JSON, Inputs
from service.web.job_view import JobList, path_of, view_of
from service.web.submission import job_of
from service.web.waiting import LONGEST, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

PATH: Final = "/jobs"
MOST_LISTED: Final = 100
USUALLY_LISTED: Final = 20
_KEY: Final = re.compile(r"[ -~]{1,255}")
_PREFERRED: Final = re.compile(r"(?i)(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,5})\"?(?=$|[,;\s])")
_ID: Final = re.compile(r"[0-9a-z]{1,64}")
# The suffixes of files of these media types, the usual one first.
_SUFFIXES: Final[Mapping[str, Sequence[str]]] = {
    "text/csv": (".csv", ".tsv", ".txt"),
    "application/jsonl": (".jsonl", ".ndjson", ".json"),
    "application/vnd.apache.parquet": (".parquet", ".pq"),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (".xlsx",),
}
_UNKNOWN: Final = "there is no such job of this key"
_WHY_NO_RESULT: Final = {
    State.ACCEPTED: "it waits",
    State.QUEUED: "it waits",
    State.RUNNING: "it runs",
    State.FAILED: "it failed",
    State.CANCELLED: "it was cancelled",
    State.EXPIRED: "its deadline is over",
    State.DEAD: "it was given up",
}


class Asked(NamedTuple):
    """What the headers of a submission ask for: `latest` is a deadline, 0 for none."""

    key: str
    wait: int
    latest: float


class JobRoutes:
    """Translates requests into calls of the service, and jobs into replies."""

    def __init__(
        self, endpoints: Endpoints, service: JobService, inputs: Inputs, waiting: Waiting
    ) -> None:
        self._endpoints = endpoints
        self._service = service
        self._inputs = inputs
        self._waiting = waiting

    def submit(self) -> Any:
        """202 and the job; 200 and its result if the caller waits and it comes in time."""
        environ, asked = request.environ, self.asked()
        record = record_of(environ)
        given = self._inputs.read(environ, request.args.to_dict())
        if given.webhook and not self._endpoints.of(record.key_name, given.webhook):
            self._service.blobs.remove(given.id)
            raise Refused(400, "webhook: this key has no endpoint of this name")
        return self.started(job_of(given, record, asked.latest), asked, self.result_of)

    @staticmethod
    def asked() -> Asked:
        """What the headers of the current request ask for. Raises Refused."""
        key, wait = _idempotency_key(), _preferred_wait()
        left = deadline.left_in(request.environ)
        return Asked(key, wait, 0.0 if left is None else time() + left)

    def started(self, job: Job, asked: Asked, result: "Callable[[Job], Any]") -> Any:
        """Submit a job; `result` replies the result to a caller that waits for it."""
        accepted, wait = self._service.submit(job, asked.key), asked.wait
        job = self._waited(accepted.job, wait)
        headers = {"Location": path_of(job)}
        if accepted.replayed:
            headers["Idempotency-Replayed"] = "true"
        if wait:
            headers["Preference-Applied"] = f"wait={wait}"
        if wait and job.state is State.SUCCEEDED:
            return _with(result(job), headers)
        return _with(_shown(job, 202), {**headers, **errors.retry_after()})

    def show(self, job_id: str) -> Any:
        """The job; with `?wait=` when it has ended, or has changed from what If-None-Match has."""
        wait = _waited_for()
        job = self._owned(job_id)
        known = request.headers.get("If-None-Match", "")
        changed = (lambda found: _digest(found) not in known) if known else _has_ended
        job = self._waited(job, wait, changed)
        position = self._service.position(job)
        etag = _etag(job, position)
        if known and etag in known:
            return Response(status=304, headers={"ETag": etag})
        later = {} if _has_ended(job) else errors.retry_after()
        return _with(_shown(job, 200, position), {"ETag": etag, **later})

    def result(self, job_id: str) -> Any:
        """The body of the synchronous reply, or the file; 409 unless the job succeeded."""
        job = self._owned(job_id)
        if self._service.is_over(job):
            raise Refused(410, "the result was kept until it expired")
        if job.state is not State.SUCCEEDED:
            why = f"{_WHY_NO_RESULT[job.state]}: {job.error}".removesuffix(": ")
            later = {} if _has_ended(job) else errors.retry_after()
            raise Refused(
                409, f"the job is {job.state}: {why}", {"X-Job-State": job.state, **later}
            )
        return self.result_of(job)

    def cancel(self, job_id: str) -> Any:
        """200 for a job that will not run, 202 for one that is still to stop, 409 if it ended."""
        self._owned(job_id)
        job = self._service.cancel(job_id, record_of(request.environ).key_name)
        if job is None:
            raise Refused(404, _UNKNOWN)
        if job.state is State.CANCELLED:
            return _shown(job, 200)
        if _has_ended(job):
            reason = f"the job is {job.state}: it has ended before"
            raise Refused(409, reason, {"X-Job-State": job.state})
        return _with(_shown(job, 202), errors.retry_after())

    def list(self) -> Reply:
        """The jobs of this key, newest first."""
        owner = record_of(request.environ).key_name
        after, limit = request.args.get("after", ""), _limit()
        if after and not _ID.fullmatch(after):
            raise Refused(400, "after: must be the id of a job")
        found = list(self._service.list(owner, _state(), after, limit + 1))
        shown = found[:limit]
        following = shown[-1].id if len(found) > limit else None
        return reply.ok(JobList(list(map(view_of, shown)), following))

    def _owned(self, job_id: str) -> Job:
        owner = record_of(request.environ).key_name
        job = self._service.get(job_id, owner) if _ID.fullmatch(job_id) else None
        if job is None:
            raise Refused(404, _UNKNOWN)
        return job

    def _waited(self, job: Job, seconds: float, met: "Callable[[Job], bool] | None" = None) -> Job:
        look = lambda: self._service.get(job.id, job.owner)  # noqa: E731
        if not seconds:
            return job
        return self._waiting.until(met or _has_ended, look, seconds) or job

    def result_of(self, job: Job) -> Any:
        """A reply that sends the result piece by piece."""
        try:
            file = self._service.blobs.open(job.result)
        except BlobMissing:
            raise Refused(410, "the result is not kept any more") from None
        length = file.seek(0, 2)
        file.seek(0)
        response = Response(
            wrap_file(request.environ, file, 256 * 1024),
            content_type=job.result_type or JSON,
            direct_passthrough=True,
        )
        response.content_length = length
        record_of(request.environ).model_version = job.version
        if name := job.parameters.get("filename"):
            response.headers["Content-Disposition"] = _attachment(_named(name, job.result_type))
        return response


def blueprint(routes: JobRoutes, guard: Guard) -> Blueprint:
    """The addresses; each needs a key."""
    jobs = Blueprint("jobs", __name__)
    guard.protect(jobs)
    one = f"{PATH}/<job_id>"
    rules: tuple[tuple[str, str, Callable[..., Any], str, Collection[str]], ...] = (
        (PATH, "submit", routes.submit, "POST", ARGUMENTS),
        (PATH, "list", routes.list, "GET", ("state", "after", "limit")),
        (one, "show", routes.show, "GET", ("wait",)),
        (one, "cancel", routes.cancel, "DELETE", ()),
        (f"{one}/result", "result", routes.result, "GET", ()),
    )
    known = {}
    for path, name, view, method, arguments in rules:
        jobs.add_url_rule(path, name, view, methods=[method])
        known[f"{jobs.name}.{name}"] = arguments
    # A typing error in a name would change the job without notice.
    jobs.before_request(lambda: check_known(request.args, known[request.endpoint or ""]))
    return jobs


def _has_ended(job: Job) -> bool:
    return job.state in TERMINAL


def _shown(job: Job, status: int, position: int | None = None) -> Reply:
    shown = reply.ok(view_of(job, position))
    shown.status = status
    return shown


def _digest(job: Job) -> str:
    return sha256(reply.ok(view_of(job)).body).hexdigest()[:32]


def _etag(job: Job, position: int | None) -> str:
    """The ETag of a reply; its first part is the job's, which is all that callers wait for."""
    return f'"{_digest(job)}-{position}"' if position else f'"{_digest(job)}"'


def _with(response: Any, headers: dict[str, str]) -> Any:
    """A reply of ours or Flask's with more headers."""
    for name, value in headers.items():
        if isinstance(response, Reply):
            response.add(name, value)
        else:
            response.headers[name] = value
    return response


def _named(filename: str, media_type: str) -> str:
    """The name of a result by that of its input: another form has another suffix."""
    path = PurePath(filename.removesuffix(".gz"))
    suffixes = _SUFFIXES.get(media_type, ())
    if not suffixes or path.suffix.lower() in suffixes:
        return path.name
    return path.with_suffix(suffixes[0]).name


def _attachment(filename: str) -> str:
    """A header by which a browser saves the result under this name (RFC 6266)."""
    plain = filename.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename)}"


def _idempotency_key() -> str:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not _KEY.fullmatch(key):
        raise Refused(400, "Idempotency-Key must have 1 to 255 printable ASCII characters")
    return key


def _preferred_wait() -> int:
    """The seconds of `Prefer: wait=`, as many as are granted; 0 without."""
    wait = _PREFERRED.search(",".join(request.headers.getlist("Prefer")))
    return min(int(wait[1]), int(LONGEST)) if wait else 0


def _waited_for() -> float:
    text = request.args.get("wait", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= LONGEST):
        raise Refused(400, f"wait: must be a whole number of seconds, 0 to {LONGEST:.0f}")
    return float(text)


def _limit() -> int:
    text = request.args.get("limit", str(USUALLY_LISTED))
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST_LISTED):
        raise Refused(400, f"limit: must be a whole number, 1 to {MOST_LISTED}")
    return int(text)


def _state() -> State | None:
    text = request.args.get("state")
    if text is None:
        return None
    try:
        return State(text)
    except ValueError:
        raise Refused(400, f"state: must be one of {', '.join(State)}") from None
