"""JSON Schemas of requests and replies, made from the types that validate."""

from inspect import cleandoc
from typing import Any

import msgspec

from model.regno.explain.explanation import Explanation
from model.regno.request import Reading, describe_custom
from model.regno.review.detail import Detail
from model.regno.score import Score


def components(ref_template: str) -> dict[str, Any]:
    """Schemas by type name: of a reading, a score, a detail and an explanation.

    `ref_template` holds `{name}`.
    """
    _, schemas = msgspec.json.schema_components(
        (Reading, Score, Detail, Explanation),
        schema_hook=describe_custom,
        ref_template=ref_template,
    )
    for schema in schemas.values():
        schema["description"] = cleandoc(schema["description"])
    fields = schemas["Reading"]["properties"]
    for name, field in fields.items():
        if field.get("type") in {"number", "integer"}:
            fields[name] = _number_or_text(field)
    warnings = schemas["Detail"]["properties"]["warnings"]
    schemas["Doubt"] = _one_of(warnings["items"])
    warnings["items"] = {"$ref": ref_template.format(name="Doubt")}
    return schemas


def _number_or_text(number: dict[str, Any]) -> dict[str, Any]:
    """A number, or a string that holds one: msgspec describes the number only."""
    text = {"type": "string", "pattern": number.pop("pattern")}
    return {"description": number.pop("description"), "anyOf": [number, text]}


def _one_of(union: dict[str, Any]) -> dict[str, Any]:
    """A union whose members have tags as oneOf, which client generators need."""
    members, tags = union["anyOf"], union["discriminator"]
    return {
        "description": "What makes a score doubtful, by its kind.",
        "oneOf": members,
        "discriminator": tags,
    }
