"""The OpenAPI document of the web processes, made from the types of their replies."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from model import catalog
from model.tables.options import FORMATS
from service.http.openapi import (
    JSON,
    KEY,
    REF,
    Part,
    envelope,
    error_responses,
    errors,
    for_generators,
    headers,
    ref,
)
from service.jobs.states import State
from service.jobs.train_kind import Trained
from service.routes import openapi_inference
from service.routes.openapi import EXAMPLE
from service.web import openapi_decisions, openapi_pictures
from service.web.inputs import FILES, FORM
from service.web.job_view import JobList, JobView
from service.web.routes.inference import PICTURE_MODELS
from service.web.routes.jobs import MOST_LISTED, USUALLY_LISTED
from service.web.routes.training import MOST_EPOCHS
from service.web.waiting import LONGEST

_ID: Final = "01m8nyt88trcyse3at1fj8khhr"
_SHOWN: Final = {
    "id": _ID,
    "kind": "table",
    "model": "regno",
    "state": "running",
    "created": "2026-11-30T10:08:10.557Z",
    "started": "2026-11-30T10:08:10.573Z",
    "finished": None,
    "attempts": 1,
    "progress": {"done": 10000, "total": 0},
    "version": "regno-sim-a1233957",
}
_SUCCEEDED: Final = {
    **_SHOWN,
    "state": "succeeded",
    "finished": "2026-11-30T10:08:10.813Z",
    "progress": {"done": 16000, "total": 16000},
    "result_url": f"/jobs/{_ID}/result",
    "expires": "2026-12-01T10:08:10.813Z",
}
_EVERYWHERE: Final = ("401", "429", "500", "503")


def _enum(values: Sequence[str]) -> Part:
    return {"type": "string", "enum": [str(value) for value in values]}


_ID_SCHEMA: Final[Part] = {"type": "string", "pattern": "^[0-9a-z]{1,64}$"}
_AFTER: Final[Part] = {"type": "string", "pattern": "^[0-9a-z]{0,64}$"}
_JOB_ID: Final[Part] = {
    "name": "job_id",
    "in": "path",
    "required": True,
    "description": "The id of a job",
    "schema": _ID_SCHEMA,
}
_NAME: Final[Part] = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}
_NAME_OR_NONE: Final[Part] = {"type": "string", "pattern": "^[A-Za-z0-9._-]{0,64}$"}
_DETAIL: Final[Part] = {"type": "integer", "enum": [0, 1], "default": 0}
_TABLE_ARGUMENTS: Final[tuple[tuple[str, str, Part], ...]] = (
    ("format", "For a file: the format of its result, by default its own", _enum(list(FORMATS))),
    ("sep", "For a file: the separator of its cells", _enum((",", ";", "|", "tab"))),
    (
        "encoding",
        "For a file: its encoding, by Python's name",
        {"type": "string", "minLength": 1, "examples": ["cp1251"]},
    ),
    ("decimal", "For a file: its decimal sign", _enum((".", ","))),
    (
        "dates",
        "For a file: whether the day or the month is first in its dates",
        _enum(("dmy", "mdy")),
    ),
    (
        "sheet",
        "For an Excel file: the sheet, by default the first",
        {"type": "string", "minLength": 1},
    ),
)
_SUBMIT_HEADERS: Final[tuple[Part, ...]] = (
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key and request make one job; another request with it is 422",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    {
        "name": "Prefer",
        "in": "header",
        "description": f"wait=N: the result itself if it comes within so many seconds, at most "
        f"{LONGEST:.0f}",
        "schema": {"type": "string"},
        "example": "wait=10",
    },
    {
        "name": "X-Request-Timeout-Ms",
        "in": "header",
        "description": "The deadline of the job: an attempt that has not begun then is not made, "
        "and the job has expired",
        "schema": {"type": "integer", "minimum": 1, "maximum": 600_000},
    },
)
_HEADERS: Final = {
    "X-Request-Id": "The caller's id of the request if its key is valid, else a new one",
    "X-Model-Version": "Version of the model that scored",
    "Location": "The address of the job",
    "Retry-After": "Seconds until the next request for it",
    "Idempotency-Replayed": "true if the same key has made the job before",
    "Preference-Applied": "The longest time that the service waited",
    "ETag": "The job's state as shown; for If-None-Match",
    "Content-Disposition": "The name of the file",
    "Link": "The next page, with rel=next; without it this is the last one",
}
_ERRORS: Final = {
    "400": "Not JSON, or a field or an argument is missing, not known, of the wrong type or out "
    "of range",
    "401": "The x-api-key header is missing or wrong",
    "403": "A page of another address used a session, or this key may not train or see decisions",
    "404": "There is no such job or picture of this key, no such query, or no such decision",
    "408": "The body did not arrive in time",
    "409": "The job's state does not allow it (X-Job-State names it), or the same key is still "
    "being accepted",
    "410": "The result has been removed, or the decision was forgotten",
    "413": "The body is too long",
    "414": "The target is longer than the server takes",
    "415": "The body's type, charset or encoding is not taken",
    "417": "Expect has a value other than 100-continue",
    "422": "The idempotency key was used for another request",
    "429": "The limit of waiting jobs is reached, or too many wrong keys came from this address",
    "431": "The head is too large, or has too many fields",
    "500": "An internal error; the text contains the request id",
    "501": "This installation has no such model: it needs the extra images; or no registry, or no "
    "decision log",
    "503": "The store of jobs can't be reached or is full; pictures can't be scored now; the "
    "decision log can't be used now",
}


def document(models: Sequence[str]) -> Part:
    """The whole document, OpenAPI 3.1; `models` are those that jobs may name."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Plate scoring: jobs and pictures",
            "version": "1",
            "description": "Work whose caller does not wait: submit a table or an array, look at "
            "the job, fetch its result. A key sees its own jobs only. And pictures: digits, cats, "
            "dogs.",
        },
        "paths": {
            "/jobs": {"post": _submit(models), "get": _list()},
            "/jobs/{job_id}": {
                "parameters": [_JOB_ID],
                "get": _show(),
                "delete": _cancel(),
            },
            "/jobs/{job_id}/result": {"parameters": [_JOB_ID], "get": _result()},
            "/digits/train": {"post": _train()},
            **openapi_decisions.paths(),
            **openapi_pictures.paths(),
            **openapi_inference.paths(PICTURE_MODELS, openapi_pictures.PICTURE),
            "/": {"get": _text("Address and key are right", "home", "401", "429", secured=True)},
            "/healthz": {"get": _text("A thread answers", "healthz")},
            "/readyz": {"get": _text("Jobs can be taken", "readyz", "503")},
        },
        "components": {
            "schemas": for_generators(_schemas(models)),
            "headers": {**headers(_HEADERS), **openapi_inference.described_headers()},
            "responses": error_responses(_ERRORS),
            "securitySchemes": {**KEY, **openapi_pictures.SECURITY},
        },
    }


def _submit(models: Sequence[str]) -> Part:
    file = {"schema": {"type": "string", "format": "binary"}}
    submitted = {"model": models[0], "input": EXAMPLE}
    many = {"model": models[0], "input": [EXAMPLE]}
    result = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in FILES}
    return {
        "operationId": "submit_job",
        "summary": "Submit a job",
        "description": "As JSON: the model's name and the body of that model's own route, which is "
        "checked at once. As a file: a table in the body, with `?model=`, or in the field `file` "
        "of a form. Its result has the same form, with the scores as further columns.",
        "security": [{"key": []}],
        "parameters": [
            *_SUBMIT_HEADERS,
            _query("detail", "1: also decisions, margins and warnings", _DETAIL),
            _query("model", "For a file: the model's name", _enum(models)),
            _query(
                "filename", "For a file: its name, which the result gets too", {"type": "string"}
            ),
            _query("webhook", "The endpoint to notify at the end", _NAME_OR_NONE),
            *(_query(name, text, schema) for name, text, schema in _TABLE_ARGUMENTS),
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": ref("Submission"),
                    "examples": {"one": {"value": submitted}, "many": {"value": many}},
                },
                FORM: {"schema": ref("FileForm")},
                **dict.fromkeys(FILES, file),
            },
        },
        "responses": {
            "200": {
                "description": "The result itself: the caller preferred to wait, and it came in "
                "time",
                "headers": _named("Location", "Preference-Applied", "X-Model-Version"),
                "content": {JSON: {"schema": {}}, **result},
            },
            "202": _job_reply(
                "The job, which is stored",
                *("Location", "Retry-After", "Idempotency-Replayed", "Preference-Applied"),
            ),
            **errors("400", "408", "409", "413", "415", "422", *_EVERYWHERE),
        },
    }


def _list() -> Part:
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": USUALLY_LISTED}
    reply = {"jobs": [_SUCCEEDED], "next": None}
    return {
        "operationId": "list_jobs",
        "summary": "The jobs of this key, newest first",
        "security": [{"key": []}],
        "parameters": [
            _query("state", "Of one state only", _enum(list(State))),
            _query("after", "From behind this job: the `next` of the page before", _AFTER),
            _query("limit", "At most so many", limit),
        ],
        "responses": {
            "200": _reply("JobListReply", "Some jobs, and where the next page begins", reply),
            **errors("400", *_EVERYWHERE),
        },
    }


def _show() -> Part:
    wait = {"type": "integer", "minimum": 0, "maximum": int(LONGEST), "default": 0}
    known = {
        "name": "If-None-Match",
        "in": "header",
        "description": "The ETag of the reply before: 304 unless the job has changed, and `wait` "
        "then waits for a change",
        "schema": {"type": "string"},
    }
    return {
        "operationId": "get_job",
        "summary": "A job",
        "security": [{"key": []}],
        "parameters": [_query("wait", "Seconds to wait for the end of the job", wait), known],
        "responses": {
            "200": _job_reply("The job as it is now", "ETag", "Retry-After"),
            "304": {"description": "The job has not changed", "headers": _named("ETag")},
            **errors("400", "404", *_EVERYWHERE),
        },
    }


def _cancel() -> Part:
    return {
        "operationId": "cancel_job",
        "summary": "Cancel a job",
        "security": [{"key": []}],
        "responses": {
            "200": _job_reply("It is cancelled: it had not begun, or was cancelled before"),
            "202": _job_reply("It runs, and is to stop", "Retry-After"),
            **errors("400", "404", "409", *_EVERYWHERE),
        },
    }


def _result() -> Part:
    file = {"schema": {"type": "string", "format": "binary"}}
    return {
        "operationId": "get_result",
        "summary": "The result of a job",
        "description": "For JSON exactly the bytes of the synchronous reply, for a file a file.",
        "security": [{"key": []}],
        "responses": {
            "200": {
                "description": "The result",
                "headers": _named("X-Model-Version", "Content-Disposition"),
                "content": {JSON: {"schema": {}}, **dict.fromkeys(FILES, file)},
            },
            **errors("400", "404", "409", "410", *_EVERYWHERE),
        },
    }


def _train() -> Part:
    given = {"images_batch_path": "mnist.npz", "epochs": 10}
    trained = msgspec.json.schema_components((Trained,), ref_template=REF)[1]["Trained"]
    return {
        "operationId": "train_digits",
        "summary": "Train the digits model: a job",
        "description": "The data set is a file in the folder SCORING_DIGITS_DATA of the server: "
        ".npz with x_train, y_train, x_test and y_test, as Keras has MNIST. Progress is in epochs. "
        "The new version becomes a candidate in the registry; to make it live is another step. "
        "For the keys in SCORING_TRAINERS only.",
        "security": [{"key": []}],
        "parameters": [
            *_SUBMIT_HEADERS,
            _query("detail", "1: the result is the job's, in place of true", _DETAIL),
        ],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": ref("Training"), "example": given}},
        },
        "responses": {
            "200": {
                "description": "With detail=1, what came of it: the caller preferred to wait, and "
                "it came in time",
                "headers": _named("Location", "Preference-Applied", "X-Model-Version"),
                "content": {JSON: {"schema": envelope(trained, "ok")}},
            },
            "201": {
                "description": "The same without detail",
                "headers": _named("Location", "Preference-Applied", "X-Model-Version"),
                "content": {JSON: {"schema": {"const": True}, "example": True}},
            },
            "202": _job_reply(
                "The job, which is stored",
                *("Location", "Retry-After", "Idempotency-Replayed", "Preference-Applied"),
            ),
            **errors("400", "403", "409", "413", "415", "422", "501", *_EVERYWHERE),
        },
    }


def _text(summary: str, name: str, *refusals: str, secured: bool = False) -> Part:
    operation: Part = {
        "operationId": name,
        "summary": summary,
        "responses": {"200": _reply("TextReply", summary), **errors(*refusals)},
    }
    if secured:
        operation["security"] = [{"key": []}]
    return operation


def _reply(schema: str, description: str, example: Any = None, *names: str) -> Part:
    content: Part = {"schema": ref(schema)}
    if example is not None:
        content["example"] = {"body": example, "status": "ok"}
    return {"description": description, "headers": _named(*names), "content": {JSON: content}}


def _job_reply(description: str, *names: str) -> Part:
    return _reply("JobReply", description, _SHOWN, *names)


def _named(*names: str) -> Part:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _query(name: str, description: str, schema: Part) -> Part:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _schemas(models: Sequence[str]) -> Part:
    default = catalog.entry(models[0]).load()
    _, views = msgspec.json.schema_components((JobView, JobList), ref_template=REF)
    given = [ref(default.request.__name__), {"type": "array", "items": {}, "minItems": 0}]
    fields: Part = {
        "model": _enum(models),
        "input": {
            "description": "The body of the model's own route",
            "anyOf": given if len(models) == 1 else [*given, {}],
        },
        "webhook": {**_NAME, "description": "The endpoint to notify at the end"},
    }
    form: Part = {
        "file": {"type": "string", "format": "binary"},
        "model": _enum(models),
        "detail": _DETAIL,
        "webhook": _NAME,
        **{name: schema for name, _, schema in _TABLE_ARGUMENTS},
    }
    return {
        **default.schemas(REF),
        **views,
        **openapi_decisions.schemas(),
        **openapi_pictures.schemas(),
        **openapi_inference.schemas(),
        "Submission": {
            "type": "object",
            "properties": fields,
            "required": ["model", "input"],
            "additionalProperties": False,
        },
        "Training": {
            "type": "object",
            "properties": {
                "images_batch_path": {"type": "string"},
                "epochs": {"type": "integer", "minimum": 1, "maximum": MOST_EPOCHS},
            },
            "required": ["images_batch_path"],
            "additionalProperties": False,
        },
        "FileForm": {
            "type": "object",
            "properties": form,
            "required": ["file"],
            "additionalProperties": False,
        },
        "JobReply": envelope(ref("JobView"), "ok"),
        "JobListReply": envelope(ref("JobList"), "ok"),
        "TextReply": envelope({"type": "string"}, "ok"),
        "ErrorReply": envelope({"type": "string"}, "fail"),
    }
