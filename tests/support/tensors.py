"""Requests of the Open Inference Protocol, made of those of POST /reg/."""

import json
import struct
from collections.abc import Sequence
from typing import Any

DATATYPES = {"recognition_accuracy": "FP64", "afts_regno_ai_score": "FP64", "direction": "INT64"}
_FORMATS = {"FP64": "d", "INT64": "q"}


def inputs_of(rows: Sequence[dict[str, Any]], shape: Sequence[int] = ()) -> list[dict[str, Any]]:
    """One tensor for each field, in JSON."""
    return [_input(name, [row[name] for row in rows], shape) for name in rows[0]]


def request_input(texts: Sequence[str]) -> dict[str, Any]:
    """The one tensor whose elements are requests."""
    return {"name": "request", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}


def in_bytes(inputs: Sequence[dict[str, Any]], **more: Any) -> tuple[bytes, dict[str, str]]:
    """The body with the elements after the JSON, and the header with its length."""
    pieces, told = [], []
    for tensor in inputs:
        piece = _packed(tensor["datatype"], tensor["data"])
        pieces.append(piece)
        bare = {name: value for name, value in tensor.items() if name != "data"}
        told.append({**bare, "parameters": {"binary_data_size": len(piece)}})
    text = json.dumps({"inputs": told, **more}).encode()
    return b"".join((text, *pieces)), {"Inference-Header-Content-Length": str(len(text))}


def outputs_of(reply: dict[str, Any]) -> dict[str, list[Any]]:
    """The elements of a reply in JSON by the outputs' names."""
    return {output["name"]: output["data"] for output in reply["outputs"]}


def _input(name: str, values: list[Any], shape: Sequence[int]) -> dict[str, Any]:
    datatype = DATATYPES.get(name, "BYTES")
    data: list[Any]
    if datatype == "BYTES":
        data = [value if isinstance(value, str) else json.dumps(value) for value in values]
    else:
        kind = int if datatype == "INT64" else float
        data = [kind(value) for value in values]
    return {
        "name": name,
        "shape": list(shape) or [len(values)],
        "datatype": datatype,
        "data": data,
    }


def _packed(datatype: str, values: Sequence[Any]) -> bytes:
    if datatype != "BYTES":
        return struct.pack(f"<{len(values)}{_FORMATS[datatype]}", *values)
    texts = [value if isinstance(value, bytes) else value.encode() for value in values]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
