"""The OpenAPI document, made from the types that validate."""

from collections.abc import Iterator, Sequence
from typing import Final

from model import catalog
from model.scorer import Model
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
    ok,
    ref,
)
from service.routes import openapi_inference, openapi_model

EXAMPLE: Final = {
    "regno_recognize": "А939НО196",
    "afts_regno_ai": "А939НО190",
    "recognition_accuracy": 6.4,
    "afts_regno_ai_score": 0.8689166903495789,
    "afts_regno_ai_char_scores": "[0.9998925924301147, 0.9999872446060181, 0.9999798536300659, "
    "0.9999990463256836, 0.9988356232643127, 0.9998175501823425, 1.0, 0.999994158744812, "
    "0.8702163696289062]",
    "afts_regno_ai_length_scores": "[3.2404470773350624e-10, 3.236617363011618e-10, "
    "3.2367283853140805e-10, 3.2651523151905337e-10, 3.234087164738497e-10, "
    "3.259402747701756e-10, 3.2362224011706076e-10, 4.545459564297971e-09, "
    "2.996458192683349e-08, 1.0, 3.2479344214131345e-10]",
    "camera_type": "Стационарная",
    "camera_class": "Астра-Трафик",
    "time_check": "2021-08-01 09:02:59",
    "direction": 0,
}
_DETAIL: Final = {
    "name": "detail",
    "in": "query",
    "description": "1: each score comes with the decision that costs least, its margin, warnings "
    "and the model's version",
    "schema": {"type": "integer", "enum": [0, 1], "default": 0},
}


def document(explain_rows: int, others: Sequence[Model] = ()) -> Part:
    """The whole document, OpenAPI 3.1; so many rows may be explained at once.

    `others` are the models that are served in addition to the default one.
    """
    default = catalog.entry(catalog.DEFAULT).load()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Plate scoring",
            "version": "1",
            "description": "A camera and a neural network read the same number plate "
            "differently. POST /reg/ returns the probability that the network is right.",
        },
        "paths": _paths(default, others),
        "components": {
            "schemas": for_generators(_schemas(default, others, explain_rows)),
            "headers": _headers(),
            "responses": _error_responses(),
            "securitySchemes": KEY,
        },
    }


def _paths(default: Model, others: Sequence[Model]) -> Part:
    return {
        _path(default): {"post": _score()},
        f"{_path(default)}explain": {"post": _explain()},
        **{path: operation for model in others for path, operation in _paths_of(model)},
        **openapi_model.paths(_names(default, others)),
        **openapi_inference.paths(
            _names(default, others), EXAMPLE, "Server-Timing", "X-Score-Warnings"
        ),
        "/": {"get": _get("Address and key are right", "home", secured=True)},
        "/healthz": {"get": _get("This worker answers", "healthz")},
        "/readyz": {"get": _get("The model is loaded and warm", "readyz", extra=("503",))},
    }


def _names(default: Model, others: Sequence[Model]) -> list[str]:
    return [default.name, *(model.name for model in others)]


def _schemas(default: Model, others: Sequence[Model], explain_rows: int) -> Part:
    return {
        **default.schemas(REF),
        **{name: kind for model in others for name, kind in _schemas_of(model).items()},
        **openapi_model.schemas(default),
        **openapi_inference.schemas(),
        **_requests(explain_rows),
        **_replies(),
    }


def _score() -> Part:
    text = "One score, or a list in the order of the rows"
    return {
        "operationId": "post_reg",
        "summary": "Score one reading, or an array of them",
        **_asked("ScoreRequest", _DETAIL),
        "responses": {
            "200": ok("ScoreReply", text, "Server-Timing", "X-Score-Warnings"),
            **errors("400", "401", "408", "413", "415", "429", "500"),
        },
    }


def _path(model: Model) -> str:
    return catalog.entry(model.name).path


def _paths_of(model: Model) -> Iterator[tuple[str, Part]]:
    """The addresses of a model other than the default one, with their operations."""
    path, name = _path(model), model.name
    yield (
        path,
        _of_model(
            model, _score(), "Score", f"post_{name}", f"Score one request with {name}, or an array"
        ),
    )
    if model.explanation:
        summary = f"Explain the score of one request by {name}, or of a few"
        operation = _of_model(model, _explain(), "Explanation", f"post_{name}_explain", summary)
        yield f"{path}explain", operation


def _of_model(model: Model, operation: Part, kind: str, identifier: str, summary: str) -> Part:
    """The default model's operation as that of another one."""
    named = f"{_prefix(model)}{kind}"
    content = {JSON: {"schema": ref(f"{named}Request")}}
    replied = {**operation["responses"]["200"]["content"][JSON], "schema": ref(f"{named}Reply")}
    operation["responses"]["200"]["content"] = {JSON: replied}
    return {
        "post": {
            **operation,
            "operationId": identifier,
            "summary": summary,
            "requestBody": {"required": True, "content": content},
        }
    }


def _schemas_of(model: Model) -> Part:
    """The schemas of a model other than the default one, each with its name as a prefix."""
    prefix = _prefix(model)
    request = ref(f"{prefix}{model.request.__name__}")
    schemas = model.schemas(REF.format(name=f"{prefix}{{name}}"))
    made = {f"{prefix}{name}": schema for name, schema in schemas.items()}
    kinds = (
        ("Score", "ScoredRow", "Rows", model.score),
        ("Explanation", "ExplainedRow", "FewRows", model.explanation),
    )
    for kind, row, rows, replied in kinds:
        if replied:
            one = ref(f"{prefix}{replied.__name__}")
            made[f"{prefix}{row}"] = {"anyOf": [one, ref("RowError")]}
            made[f"{prefix}{kind}Request"] = {"anyOf": [request, ref(rows)]}
            made[f"{prefix}{kind}Reply"] = _one_or_many([one], f"{prefix}{row}")
    return made


def _prefix(model: Model) -> str:
    return model.name.title()


def _explain() -> Part:
    text = "One explanation, or a list in the order of the rows"
    return {
        "operationId": "post_explain",
        "summary": "Explain the score of one reading, or of a few in an array",
        "description": "What each feature did to the score, as SHAP values. Takes tens of "
        "milliseconds a row, and is refused with 429 while anybody waits for a score.",
        **_asked("ExplanationRequest"),
        "responses": {
            "200": ok("ExplanationReply", text, "X-Score-Warnings"),
            **errors("400", "401", "408", "413", "415", "429", "500", "501", "503"),
        },
    }


def _asked(schema: str, *parameters: Part) -> Part:
    """What requests with readings have in common."""
    return {
        "security": [{"key": []}],
        "parameters": [
            {
                "name": "X-Request-Timeout-Ms",
                "in": "header",
                "description": "How long the caller waits: a reply that can't come in time is "
                "refused at once, with 429",
                "schema": {"type": "integer", "minimum": 1, "maximum": 600_000},
            },
            *parameters,
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": ref(schema),
                    "examples": {"one": {"value": EXAMPLE}, "many": {"value": [EXAMPLE]}},
                }
            },
        },
    }


def _get(summary: str, name: str, *, secured: bool = False, extra: tuple[str, ...] = ()) -> Part:
    operation: Part = {
        "operationId": name,
        "summary": summary,
        "responses": {"200": ok("TextReply", summary), **errors(*extra)},
    }
    if secured:
        operation["security"] = [{"key": []}]
        operation["responses"].update(errors("401", "429"))
    return operation


def _requests(explain_rows: int) -> Part:
    """The bodies of requests with readings, by name: a generator makes a type of each."""
    rows = {
        "type": "array",
        "description": "Readings. An invalid row gets an error in its place.",
        "items": {},
    }
    return {
        "Rows": rows,
        "FewRows": {**rows, "maxItems": explain_rows},
        "ScoreRequest": {"anyOf": [ref("Reading"), ref("Rows")]},
        "ExplanationRequest": {"anyOf": [ref("Reading"), ref("FewRows")]},
    }


def _replies() -> Part:
    """The bodies of replies, by name, and what rows are in them."""
    # The detail first: it is a score too.
    scored, explained = [ref("Detail"), ref("Score")], [ref("Explanation")]
    error = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    return {
        "RowError": {**error, "additionalProperties": False},
        "ScoredRow": {"anyOf": [*scored, ref("RowError")]},
        "ExplainedRow": {"anyOf": [*explained, ref("RowError")]},
        "ScoreReply": _one_or_many(scored, "ScoredRow"),
        "ExplanationReply": _one_or_many(explained, "ExplainedRow"),
        "StateReply": envelope(ref("State"), "ok"),
        "VersionsReply": envelope(ref("Versions"), "ok"),
        "HistoryReply": envelope({"type": "array", "items": ref("Change")}, "ok"),
        "OutcomeReply": envelope(ref("Outcome"), "ok"),
        "TextReply": envelope({"type": "string"}, "ok"),
        "ErrorReply": envelope({"type": "string"}, "fail"),
    }


def _one_or_many(one: list[Part], row: str) -> Part:
    return envelope({"anyOf": [*one, {"type": "array", "items": ref(row)}]}, "ok", "partial")


def _headers() -> Part:
    described = {
        "X-Request-Id": "The caller's id of the request if its key is valid, else a new one",
        "X-Model-Version": "Version of the model that serves",
        "Server-Timing": "Milliseconds spent in decode, features and predict",
        "X-Score-Warnings": "What makes the scores doubtful, each once, with a comma between: "
        "unseen-category:FEATURE, lookalike-letters:FIELD, out-of-range:FIELD, "
        "length-mismatch:FIELD, implausible-time:time_check, readings-agree; and what was put "
        "right: normalised:FIELD",
    }
    return {**headers(described), **openapi_inference.described_headers()}


def _error_responses() -> Part:
    described = {
        "400": "Not JSON, or a field is missing, of the wrong type, out of range or held back by a "
        "guard",
        "401": "The x-api-key header is missing or wrong",
        "403": "The key has no admin rights",
        "408": "The body did not arrive in time",
        "409": "It can't be done: no such version, a model that can't be served or differs too "
        "much, or no registry is followed",
        "413": "The body is too long, or the array has too many rows",
        "414": "The target is longer than 4096 bytes",
        "415": "The body is not declared as JSON in UTF-8, or is in another encoding",
        "417": "Expect has a value other than 100-continue",
        "429": "Overloaded, or too many wrong keys from this address; Retry-After has the seconds "
        "after which to try again",
        "431": "The head is too large, or has too many fields",
        "500": "An internal error; the text contains the request id",
        "501": "The scores of the model that serves can't be explained; GET /model has the reason",
        "503": "Not ready, the registry can't be reached, or no process can be started",
    }
    return error_responses(described)
