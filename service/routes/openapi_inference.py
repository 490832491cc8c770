"""The part of the OpenAPI document for the Open Inference Protocol."""

from collections.abc import Sequence
from typing import Final

import msgspec

from service.http.inference.messages import InferReply, InferRequest
from service.http.inference.metadata import (
    ErrorMessage,
    IndexedModel,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
)
from service.http.openapi import JSON, REF, Part, errors, headers, ok, ref
from service.routes.inference_addresses import PATH

_KINDS: Final = (
    *(Live, Ready, ServerMetadata, ModelMetadata, ModelReady, IndexedModel),
    *(InferRequest, InferReply, ErrorMessage),
)
_REFUSALS: Final = ("400", "401", "404", "408", "413", "415", "429", "500", "503")
_BINARY: Final = "Inference-Header-Content-Length"


def paths(names: Sequence[str], example: Part, *reply_headers: str) -> Part:
    """The operations by address; `names` are the models', `example` is a request of the first.

    `reply_headers` are those of inferences in addition to the protocol's.
    """
    known = {"type": "string", "enum": names}
    model = {"name": "model", "in": "path", "required": True, "schema": known}
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
    made = {
        PATH: _shown("v2", "The server and the extensions that it supports", ServerMetadata, "401"),
        f"{PATH}/health/live": _shown("v2_live", "This worker answers", Live),
        f"{PATH}/health/ready": _shown("v2_ready", "Requests are wanted", Ready, "503"),
    }
    listed = _shown("v2_index", "All models and their live versions", IndexedModel, "401")["get"]
    listed["responses"]["200"]["content"][JSON]["schema"] = ref("ModelIndex")
    made[f"{PATH}/repository/index"] = {"post": listed}
    for rest, suffix, named in (
        ("", "", [model]),
        ("/versions/{version}", "_version", [model, version]),
    ):
        address = f"{PATH}/models/{{model}}{rest}"
        kinds = (
            ("", "v2_model", "The inputs and outputs of a model", ModelMetadata, ()),
            ("/ready", "v2_model_ready", "Whether a model is ready", ModelReady, ("503",)),
        )
        for end, name, summary, kind, refusals in kinds:
            operation = _shown(f"{name}{suffix}", summary, kind, "401", "404", *refusals)
            operation["get"]["parameters"] = named
            made[f"{address}{end}"] = operation
        made[f"{address}/infer"] = _infer(f"v2_infer{suffix}", named, example, reply_headers)
    return made


def schemas() -> Part:
    """Schemas by type name."""
    made = msgspec.json.schema_components(_KINDS, ref_template=REF)[1]
    return {
        **made,
        "ModelIndex": {"type": "array", "items": ref("IndexedModel")},
        "Refusal": {"anyOf": [ref("ErrorMessage"), ref("ErrorReply")]},
    }


def described_headers() -> Part:
    """The headers of its own."""
    return headers({_BINARY: "Bytes of the JSON, where bytes of tensors follow it"})


def _shown(name: str, summary: str, kind: type[msgspec.Struct], *refusals: str) -> Part:
    """An operation that shows something; one that may be refused for its key needs one."""
    operation: Part = {
        "operationId": name,
        "summary": summary,
        "responses": {"200": ok(kind.__name__, summary), **_errors(*refusals)},
    }
    if "503" in refusals:
        not_ready = {JSON: {"schema": ref(kind.__name__)}}
        operation["responses"]["503"] = {"description": "Not ready", "content": not_ready}
    if "401" in refusals:
        operation["security"] = [{"key": []}]
        operation["responses"].update(_errors("429"))
    return {"get": operation}


def _infer(
    name: str, parameters: Sequence[Part], example: Part, reply_headers: Sequence[str]
) -> Part:
    """The operation that scores."""
    text = msgspec.json.encode(example).decode()
    tensor = {"name": "request", "shape": [1], "datatype": "BYTES", "data": [text]}
    return {
        "post": {
            "operationId": name,
            "summary": "Score rows that are sent as tensors",
            "description": "One input for each field of a request, or one input `request` whose "
            "elements are requests in JSON. Bytes of tensors may follow the JSON, as in Triton.",
            "security": [{"key": []}],
            "parameters": parameters,
            "requestBody": {
                "required": True,
                "content": {
                    JSON: {
                        "schema": ref("InferRequest"),
                        "examples": {"json": {"value": {"inputs": [tensor]}}},
                    }
                },
            },
            "responses": {
                "200": ok("InferReply", "The outputs", *reply_headers, _BINARY),
                **_errors(*_REFUSALS),
            },
        }
    }


def _errors(*statuses: str) -> Part:
    """Error replies in the protocol's form; the server's own are in the envelope."""
    made = errors(*statuses)
    content = {JSON: {"schema": ref("Refusal")}}
    for status in statuses:
        made[status] = {"description": "Refused, with the reason in words", "content": content}
    return made
