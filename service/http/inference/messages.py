"""Requests of the protocol, as bodies of a model's own route; and its replies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from model import InvalidRequest
from service.http.inference.signature import Content, Datatype, Signature, Tensor
from service.http.inference.tensors import (
    for_body,
    from_bytes,
    from_json,
    from_score,
    rows_of,
    text_of,
    to_bytes,
)

# The one input that may stand for all others: each element is a request in JSON.
REQUEST: Final = Tensor("request", Datatype.BYTES, Content.TEXT, required=False)
_BINARY_SIZE: Final = "binary_data_size"
_MICROSECONDS: Final = 1e6

# Programs that write clients from the document want to know what an array holds: anything.
_Elements = Annotated[list[Any], Meta(extra_json_schema={"items": {}})]


class InputTensor(Struct):
    """An input; its elements are in `data`, or follow the JSON as `binary_data_size` bytes."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: _Elements | UnsetType = UNSET


class RequestedOutput(Struct):
    """An output that the reply is to have; `binary_data` in its parameters: as bytes."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(Struct):
    """A request. Without `outputs` the reply has all; `timeout` in parameters: in microseconds."""

    inputs: Annotated[list[InputTensor], Meta(min_length=1)]
    outputs: list[RequestedOutput] = []
    parameters: dict[str, Any] = {}
    id: str = ""


class OutputTensor(Struct, omit_defaults=True):
    """An output, with its elements in `data` or in `binary_data_size` bytes after the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | UnsetType = UNSET
    data: _Elements | UnsetType = UNSET


class InferReply(Struct):
    """A reply; `id` is the request's, if it had one."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | UnsetType = UNSET


class Inference(NamedTuple):
    """A request, read: `body` is one for the model's own route, `seconds` what the caller gives.

    `outputs` are those to reply with, each with whether it goes as bytes.
    """

    body: bytes
    id: str
    outputs: Sequence[tuple[Tensor, bool]]
    needs_detail: bool
    seconds: float | None


class Encoded(NamedTuple):
    """The body of a reply, of which the first `json_bytes` are JSON."""

    body: bytes
    json_bytes: int


def read(body: bytes, json_bytes: str | None, signature: Signature, max_rows: int) -> Inference:
    """Read a request. Raises InvalidRequest.

    `json_bytes` is the header Inference-Header-Content-Length, None without.
    """
    length = _json_length(body, json_bytes)
    request = _decoded(body[:length])
    outputs = list(_outputs(request, signature))
    return Inference(
        _body(list(_with_bytes(request, body[length:])), signature, max_rows),
        request.id,
        outputs,
        any(tensor.name not in signature.scores for tensor, _ in outputs),
        _seconds(request.parameters),
    )


def encoded(inference: Inference, model: str, version: str, scores: Sequence[Any]) -> Encoded:
    """The reply with the scores of a model's version."""
    outputs, pieces = [], []
    for tensor, is_binary in inference.outputs:
        elements = [from_score(tensor, getattr(score, tensor.name)) for score in scores]
        output = OutputTensor(tensor.name, tensor.datatype.value, [len(scores)])
        if is_binary:
            piece = to_bytes(tensor.datatype, elements)
            output.parameters = {_BINARY_SIZE: len(piece)}
            pieces.append(piece)
        else:
            output.data = elements
        outputs.append(output)
    text = msgspec.json.encode(InferReply(model, version, outputs, inference.id or UNSET))
    return Encoded(b"".join((text, *pieces)), len(text))


def _json_length(body: bytes, stated: str | None) -> int:
    if stated is None:
        return len(body)
    if not (stated.isascii() and stated.isdigit() and len(stated) <= 10) or int(stated) > len(body):
        reason = "Inference-Header-Content-Length must be the length of the JSON, within the body"
        raise InvalidRequest("", reason)
    return int(stated)


def _decoded(text: bytes) -> InferRequest:
    try:
        return msgspec.json.decode(text, type=InferRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest("", _reason(error), "type") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidRequest("", "the request is not valid JSON") from None


def _reason(error: msgspec.ValidationError) -> str:
    """The place and what is wrong with it: msgspec's message, which holds no value."""
    reason, _, place = str(error).replace("`", "").partition(" - at $")
    return f"{place.lstrip('.')}: {reason}" if place else reason


def _with_bytes(request: InferRequest, rest: bytes) -> Iterator[tuple[InputTensor, bytes | None]]:
    """The inputs, each with its bytes: None for one that has `data`."""
    at = 0
    for number, given in enumerate(request.inputs):
        size = given.parameters.get(_BINARY_SIZE)
        if size is None:
            yield given, None
            continue
        if type(size) is not int or not 0 <= size <= len(rest) - at:
            reason = f"inputs[{number}]: {_BINARY_SIZE} must be the number of its bytes"
            raise InvalidRequest("", reason, "count")
        yield given, rest[at : at + size]
        at += size
    if at < len(rest):
        raise InvalidRequest("", f"{len(rest) - at} bytes belong to no input", "count")


def _body(
    given: Sequence[tuple[InputTensor, bytes | None]], signature: Signature, max_rows: int
) -> bytes:
    known = {tensor.name: tensor for tensor in signature.inputs}
    if REQUEST.name not in known and [one.name for one, _ in given] == [REQUEST.name]:
        return _body_of_requests(*given[0], max_rows)
    columns: dict[str, list[Any]] = {}
    rows = 0
    for number, (one, content) in enumerate(given):
        tensor = _named(one.name, f"inputs[{number}]", known)
        if tensor.name in columns:
            raise InvalidRequest(tensor.name, "is there twice", "count")
        elements = _elements(tensor, one, content, max_rows)
        if rows and len(elements) != rows:
            reason = f"has {len(elements)} rows, where the first input has {rows}"
            raise InvalidRequest(tensor.name, reason, "count")
        rows = len(elements)
        columns[tensor.name] = for_body(tensor, elements)
    for tensor in signature.inputs:
        if tensor.required and tensor.name not in columns:
            raise InvalidRequest(tensor.name, "is missing", "missing")
    made = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return msgspec.json.encode(made[0] if rows == 1 else made)


def _body_of_requests(given: InputTensor, content: bytes | None, max_rows: int) -> bytes:
    elements = _elements(REQUEST, given, content, max_rows)
    texts = [
        _object(number, text_of(REQUEST, number, element).encode())
        for number, element in enumerate(elements)
    ]
    return texts[0] if len(texts) == 1 else b"[%b]" % b",".join(texts)


def _object(number: int, text: bytes) -> bytes:
    """One object in JSON and nothing after it, whose fields are checked later."""
    try:
        if bytes(msgspec.json.decode(text, type=msgspec.Raw)).startswith(b"{"):
            return text
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    raise InvalidRequest("", f"{REQUEST.name}: data[{number}] must be one object in JSON")


def _elements(
    tensor: Tensor, given: InputTensor, content: bytes | None, max_rows: int
) -> list[Any]:
    if given.datatype != tensor.datatype.value:
        reason = f"its datatype is {tensor.datatype.value}, which the request does not say"
        raise InvalidRequest(tensor.name, reason, "type")
    rows = rows_of(tensor.name, given.shape, max_rows)
    if content is not None:
        return from_bytes(tensor, content, rows)
    return from_json(tensor, given.data, rows)


def _outputs(request: InferRequest, signature: Signature) -> Iterator[tuple[Tensor, bool]]:
    known = {tensor.name: tensor for tensor in signature.outputs}
    usual = request.parameters.get("binary_data_output") is True
    if not request.outputs:
        yield from ((tensor, usual) for tensor in signature.outputs)
        return
    names = set()
    for number, wanted in enumerate(request.outputs):
        tensor = _named(wanted.name, f"outputs[{number}]", known)
        if tensor.name in names:
            raise InvalidRequest("", f"output {tensor.name} is there twice", "count")
        if "classification" in wanted.parameters:
            raise InvalidRequest("", f"output {tensor.name} has no classes to be counted")
        names.add(tensor.name)
        yield tensor, wanted.parameters.get("binary_data", usual) is True


def _named(name: str, place: str, known: Mapping[str, Tensor]) -> Tensor:
    """The tensor of a name. What a client wrote in its place is not repeated."""
    if name not in known:
        reason = f"{place}: the model has no tensor of this name, only {', '.join(known)}"
        raise InvalidRequest("", reason)
    return known[name]


def _seconds(parameters: Mapping[str, Any]) -> float | None:
    stated = parameters.get("timeout")
    if stated is None:
        return None
    if type(stated) is not int or stated < 1:
        raise InvalidRequest(
            "", "parameters.timeout must be a whole number of microseconds", "type"
        )
    return stated / _MICROSECONDS
