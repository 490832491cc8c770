"""/home/plates and /home/tables: score one reading or a table in a browser.

Both are jobs: the web processes have no model, and a job needs no other server and no further key.
"""

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any, Final, NamedTuple

import msgspec
from flask import Blueprint, Response, request

from model import InvalidRequest, catalog
from service.http.errors import Refused
from service.http.openapi import REF
from service.jobs.blobs import BlobMissing
from service.jobs.job import SCORE, TABLE, Job
from service.jobs.service import JobService
from service.jobs.states import TERMINAL, State
from service.routes.openapi import EXAMPLE
from service.telemetry.record import record_of
from service.web import pages
from service.web.inputs import Inputs
from service.web.job_view import view_of
from service.web.routes.home import HOME
from service.web.sessions import Sessions
from service.web.submission import job_of
from service.web.waiting import Waiting

PLATES: Final = f"{HOME}/plates"
TABLES: Final = f"{HOME}/tables"
# How long a reply waits for the score. The first explanation starts a process.
_WAIT_SECONDS: Final = 10.0
_TABLES_LISTED: Final = 5
_JOBS_SEEN: Final = 50
# Of a finished table's result: what is shown of it.
_PREVIEW_BYTES: Final = 64 * 1024
_PREVIEW_ROWS: Final = 10
# Of an explanation: how many features have a bar, and half the width of the chart.
_BARS: Final = 12
_HALF: Final = 100


class Field(NamedTuple):
    """A field of the form, as the model's schema describes it."""

    name: str
    label: str
    is_number: bool
    is_long: bool


class Bar(NamedTuple):
    """A feature's contribution as a bar that begins at the middle of the chart."""

    feature: str
    text: str
    contribution: float
    pushes: str
    start: float
    width: float


class PlatePages:
    """The forms, and what became of what was sent by them."""

    def __init__(self, service: JobService, inputs: Inputs, waiting: Waiting) -> None:
        self._service = service
        self._inputs = inputs
        self._waiting = waiting
        self._fields = list(_fields())

    def show(self) -> Response:
        """The forms, filled with an example."""
        return self._page(EXAMPLE)

    def score(self) -> Response:
        """The form as it was sent, with the score; with the fault if it can't be scored."""
        sent = pages.form_fields()
        values = {field.name: sent.get(field.name, "") for field in self._fields}
        parameters = {"detail": "1", "explain": "1"}
        try:
            given = self._inputs.store(catalog.DEFAULT, msgspec.json.encode(values), parameters)
        except InvalidRequest as fault:
            return self._page(values, 400, fault=fault)
        job = self._service.submit(job_of(given, record_of(request.environ)), "").job
        job = self._waited(job)
        return self._page(values, **self._outcome(job))

    def show_score(self, job_id: str) -> Response:
        """The score of a reading that was sent before, for as long as its job is kept."""
        job = self._waited(self._owned(job_id, SCORE))
        return pages.page("score.html", poll=_poll(PLATES, job), **self._outcome(job))

    def upload(self) -> Response:
        """Take a table, and show its job."""
        arguments = {"model": catalog.DEFAULT, "detail": "1"}
        given = self._inputs.read(request.environ, arguments)
        job = self._service.submit(job_of(given, record_of(request.environ)), "").job
        return Response(status=303, headers={"Location": f"{TABLES}/{job.id}"})

    def show_table(self, job_id: str) -> Response:
        """A table's job: its progress, then its result."""
        job = self._owned(job_id, TABLE)
        return pages.page(
            "table.html",
            job=job,
            shown=view_of(job),
            preview=self._preview(job),
            poll=_poll(TABLES, job),
        )

    def _page(self, values: dict[str, Any], status: int = 200, **outcome: Any) -> Response:
        job = outcome.get("job")
        return pages.page(
            "plates.html",
            status,
            fields=self._fields,
            values=values,
            tables=self._recent_tables(),
            poll=_poll(PLATES, job) if job else "",
            **outcome,
        )

    def _outcome(self, job: Job) -> dict[str, Any]:
        """What a template shows of a reading's job."""
        if job.state is not State.SUCCEEDED:
            return {"job": job}
        try:
            body = msgspec.json.decode(self._service.blobs.read(job.result))["body"]
        except BlobMissing:
            raise Refused(410, "the result is not kept any more") from None
        explanation = body["explanation"]
        bars = list(_bars(explanation["features"])) if explanation else []
        return {"job": job, **body, "bars": bars}

    def _owned(self, job_id: str, kind: str) -> Job:
        job = self._service.get(job_id, record_of(request.environ).key_name)
        if job is None or job.kind != kind:
            raise Refused(404, "there is no such job of this key")
        return job

    def _waited(self, job: Job) -> Job:
        look = lambda: self._service.get(job.id, job.owner)  # noqa: E731
        return self._waiting.until(_has_ended, look, _WAIT_SECONDS) or job

    def _recent_tables(self) -> list[Job]:
        owner = record_of(request.environ).key_name
        newest = self._service.list(owner, None, "", _JOBS_SEEN)
        return [job for job in newest if job.kind == TABLE][:_TABLES_LISTED]

    def _preview(self, job: Job) -> list[list[str]]:
        """The first rows of a result that is text, with its header."""
        if job.state is not State.SUCCEEDED or job.result_type != "text/csv":
            return []
        try:
            with self._service.blobs.open(job.result) as file:
                text = file.read(_PREVIEW_BYTES).decode("utf-8-sig", "replace")
        except BlobMissing:
            return []
        lines = text.splitlines()[: _PREVIEW_ROWS + 1]
        separator = max(",;\t|", key=lines[0].count) if lines else ","
        return list(csv.reader(StringIO("\n".join(lines)), delimiter=separator))


def blueprint(routes: PlatePages, result: Callable[[str], Any], sessions: Sessions) -> Blueprint:
    """The addresses; each needs a session, or a key. `result` replies the result of a job."""
    plates = pages.blueprint("plates")
    sessions.protect(plates)
    rules: tuple[tuple[str, Callable[..., Any], str], ...] = (
        (PLATES, routes.show, "GET"),
        (PLATES, routes.score, "POST"),
        (f"{PLATES}/<job_id>", routes.show_score, "GET"),
        (TABLES, routes.upload, "POST"),
        (f"{TABLES}/<job_id>", routes.show_table, "GET"),
        (f"{TABLES}/<job_id>/result", result, "GET"),
    )
    for path, view, method in rules:
        plates.add_url_rule(path, view.__name__, view, methods=[method])
    return plates


def _fields() -> Iterator[Field]:
    """The fields of a request to the default model."""
    model = catalog.entry(catalog.DEFAULT).load()
    described = model.schemas(REF)[model.request.__name__]["properties"]
    for name in model.request.__struct_fields__:
        label = described[name].get("description", name).rstrip(".")
        types = str(described[name])
        yield Field(name, label, "number" in types or "integer" in types, "array" in types)


def _bars(features: list[dict[str, Any]]) -> Iterator[Bar]:
    """Bars for the greatest contributions, in the scale of the first one, and one for the rest."""
    shown, rest = features[:_BARS], features[_BARS:]
    scale = max((abs(one["contribution"]) for one in shown), default=0.0) or 1.0
    if rest:
        left = sum(one["contribution"] for one in rest)
        side = "network" if left > 0 else "camera"
        text = f"the other {len(rest)} features together"
        shown = [*shown, {"feature": "", "text": text, "contribution": left, "pushes": side}]
    for one in shown:
        length = min(1.0, abs(one["contribution"]) / scale) * _HALF
        start = _HALF if one["contribution"] > 0 else _HALF - length
        yield Bar(
            one["feature"],
            one["text"].rpartition(": ")[0] or one["text"],  # the bar says the rest
            one["contribution"],
            one["pushes"],
            round(start, 2),
            round(length, 2),
        )


def _has_ended(job: Job) -> bool:
    return job.state in TERMINAL


def _poll(path: str, job: Job) -> str:
    """The address at which to look again, "" once there is nothing to wait for."""
    return "" if _has_ended(job) else f"{path}/{job.id}"
