"""What the OpenAPI document of the web processes says of pictures."""

from typing import Any, Final

from service.http.openapi import JSON, Part, envelope, errors, ref
from service.web.routes.pictures import (
    GREATEST_AFTER,
    MOST_LISTED,
    USUALLY_LISTED,
    known_queries,
)
from service.web.sessions import COOKIE

SECURITY: Final[Part] = {"session": {"type": "apiKey", "in": "cookie", "name": COOKIE}}
_FORM: Final = "multipart/form-data"
KEY_OR_SESSION: Final[list[Part]] = [{"key": []}, {"session": []}]
_FILE: Final[Part] = {"type": "string", "format": "binary"}
_IMAGES: Final = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp")
_EVERYWHERE: Final = ("401", "403", "429", "500", "503")
_OF_PICTURES: Final = ("400", "408", "413", "415", "501", *_EVERYWHERE)
_DIGEST: Final = "35c6d20edd26f574a9915e982144396a9588ecb40276b5498cc884861ba6c6dc"
_ENTRY: Final = {"img_url": f"/uploads/{_DIGEST}.png", "prediction": 5, "confidence": 0.998}
_ANSWER: Final = {
    "query": "cat?",
    "answer": True,
    "probability": 0.934,
    "top": [{"label": "Egyptian cat", "probability": 0.481}],
}
# A request in JSON: a white dot as a PNG file.
PICTURE: Final = {
    "image": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAA"
    "CklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
}
_PROBABILITY: Final[Part] = {"type": "number", "minimum": 0, "maximum": 1}
_DIGIT: Final[Part] = {"type": "integer", "minimum": 0, "maximum": 9}


def paths() -> Part:
    """The operations by address."""
    digest = {
        "name": "digest",
        "in": "path",
        "required": True,
        "description": "The SHA-256 of the stored file",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }
    return {
        "/digits/classify": {"post": _classify()},
        "/v1/inference": {"post": _infer(), "get": _inferences()},
        "/query": {"post": _ask(), "get": _queries()},
        "/uploads/{digest}.png": {"parameters": [digest], "get": _upload(), "delete": _delete()},
    }


def schemas() -> Part:
    """The schemas of pictures' replies."""
    queries: Part = {"type": "string", "enum": known_queries()} if known_queries() else {}
    top: Part = {"label": {"type": "string"}, "probability": _PROBABILITY}
    candidate: Part = {"digit": _DIGIT, "probability": _PROBABILITY}
    digit: Part = {
        "prediction": _DIGIT,
        "confidence": _PROBABILITY,
        "top": {"type": "array", "items": _object(candidate)},
    }
    answer: Part = {
        "query": {"type": "string"},
        "answer": {"type": "boolean"},
        "probability": _PROBABILITY,
        "top": {"type": "array", "items": _object(top)},
    }
    entry: Part = {
        "img_url": {"type": "string"},
        "prediction": _DIGIT,
        "confidence": _PROBABILITY,
    }
    return {
        "DigitReply": envelope(_object(digit), "ok"),
        "Inference": _object(entry),
        "QueryReply": envelope(_object(answer), "ok"),
        "QueriesReply": envelope(
            _object({"queries": {"type": "array", "items": {"type": "string"}}}), "ok"
        ),
        "ImageForm": _object({"file": _FILE}),
        "FileNameForm": _object({"file_name": _FILE}),
        "QueryForm": _object({"query": queries, "image": _FILE}),
        "QueryByUrl": _object(
            {"query": queries, "image_url": {"type": "string", "maxLength": 2048}}
        ),
        "ImagePath": _object({"image_path": {"type": "string"}}),
    }


def _classify() -> Part:
    detail = {
        "name": "detail",
        "in": "query",
        "description": "1: an object with confidence and the best three",
        "schema": {"type": "integer", "enum": [0, 1], "default": 0},
    }
    content = {
        JSON: {
            "schema": {"anyOf": [{"type": "string", "pattern": r"^\[[0-9]\]$"}, ref("DigitReply")]},
            "example": "[5]",
        }
    }
    return {
        "operationId": "classify_digit",
        "summary": "Which digit a picture shows",
        "description": "A picture as the body, as a file in a form, or, in JSON, the path of a "
        "file in the folder SCORING_DIGITS_DATA of the server.",
        "security": KEY_OR_SESSION,
        "parameters": [detail],
        "requestBody": {
            "required": True,
            "content": {
                **{kind: {"schema": _FILE} for kind in _IMAGES},
                _FORM: {"schema": ref("ImageForm")},
                JSON: {"schema": ref("ImagePath"), "example": {"image_path": "n5.png"}},
            },
        },
        "responses": {
            "201": {"description": "The digit", "headers": _scored(), "content": content},
            **errors(*_OF_PICTURES),
        },
    }


def _infer() -> Part:
    return {
        "operationId": "infer",
        "summary": "Which digit a picture shows; it is kept in the history",
        "security": KEY_OR_SESSION,
        "requestBody": _body({_FORM: {"schema": ref("FileNameForm")}}),
        "responses": {
            "200": _bare("The digit", ref("Inference"), _ENTRY, _scored()),
            **errors(*_OF_PICTURES),
        },
    }


def _inferences() -> Part:
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": USUALLY_LISTED}
    after: Part = {"type": "integer", "minimum": 0, "maximum": GREATEST_AFTER}
    many = {"type": "array", "items": ref("Inference")}
    return {
        "operationId": "list_inferences",
        "summary": "The digits of this key, oldest first",
        "security": KEY_OR_SESSION,
        "parameters": [
            _query("limit", "At most so many", limit),
            _query("after", "From behind this one, as `Link` names it", after),
        ],
        "responses": {
            "200": _bare("Some of the history", many, [_ENTRY], _headers("Link")),
            **errors("400", *_EVERYWHERE),
        },
    }


def _ask() -> Part:
    by_url = {"query": "cat?", "image_url": "https://pictures.example/cat.jpg"}
    return {
        "operationId": "ask",
        "summary": "The answer to a query about a picture, yes or no",
        "description": "The picture is a file in a form, or has an address at one of the hosts of "
        "SCORING_IMAGE_URL_HOSTS.",
        "security": KEY_OR_SESSION,
        "requestBody": _body(
            {
                _FORM: {"schema": ref("QueryForm")},
                JSON: {"schema": ref("QueryByUrl"), "example": by_url},
            }
        ),
        "responses": {
            "200": _bare(
                "The answer", ref("QueryReply"), {"body": _ANSWER, "status": "ok"}, _scored()
            ),
            **errors("404", *_OF_PICTURES),
        },
    }


def _queries() -> Part:
    example = {"body": {"queries": known_queries()}, "status": "ok"}
    return {
        "operationId": "list_queries",
        "summary": "What can be asked",
        "security": KEY_OR_SESSION,
        "responses": {
            "200": _bare("The queries", ref("QueriesReply"), example, _headers()),
            **errors(*_EVERYWHERE),
        },
    }


def _upload() -> Part:
    return {
        "operationId": "get_upload",
        "summary": "A picture of the history, as it was decoded",
        "security": KEY_OR_SESSION,
        "responses": {
            "200": {
                "description": "A PNG file without metadata",
                "headers": _headers("Content-Disposition"),
                "content": {"image/png": {"schema": _FILE}},
            },
            "304": {"description": "The caller has it: `If-None-Match` names its ETag"},
            **errors("404", *_EVERYWHERE),
        },
    }


def _delete() -> Part:
    return {
        "operationId": "delete_upload",
        "summary": "Remove a picture and its entries of the history",
        "security": KEY_OR_SESSION,
        "responses": {
            "200": _bare("It is gone", ref("TextReply"), None, _headers()),
            **errors("404", *_EVERYWHERE),
        },
    }


def _object(properties: Part) -> Part:
    """An object that has all these fields."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def _body(content: Part) -> Part:
    return {"required": True, "content": content}


def _bare(description: str, schema: Part, example: Any, named: Part) -> Part:
    content: Part = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"description": description, "headers": named, "content": {JSON: content}}


def _scored() -> Part:
    return _headers("X-Model-Version")


def _headers(*names: str) -> Part:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _query(name: str, description: str, schema: Part) -> Part:
    return {"name": name, "in": "query", "description": description, "schema": schema}
