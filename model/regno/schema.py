"""JSON Schema of what is asked and told, made from the types that validate."""

from inspect import cleandoc
from typing import Any

import msgspec

from model.regno.explain.explanation import Explanation
from model.regno.request import Reading, describe_custom
from model.regno.review.detail import Detail
from model.regno.score import Score


def components(ref_template: str) -> dict[str, Any]:
    """Schemas by type name: the reading's, and those of what is told of it.

    `ref_template` holds `{name}`.
    """
    told = (Reading, Score, Detail, Explanation)
    _, schemas = msgspec.json.schema_components(
        told, schema_hook=describe_custom, ref_template=ref_template
    )
    for schema in schemas.values():
        schema["description"] = cleandoc(schema["description"])
    fields = schemas["Reading"]["properties"]
    for name, field in fields.items():
        if field.get("type") in {"number", "integer"}:
            fields[name] = _number_or_text(field)
    warnings = schemas["Detail"]["properties"]["warnings"]
    schemas["Doubt"] = _told_apart(warnings["items"])
    warnings["items"] = {"$ref": ref_template.format(name="Doubt")}
    return schemas


def _number_or_text(number: dict[str, Any]) -> dict[str, Any]:
    """msgspec tells of the number only, and where its pattern is; but a string may hold one."""
    text = {"type": "string", "pattern": number.pop("pattern")}
    return {"description": number.pop("description"), "anyOf": [number, text]}


def _told_apart(union: dict[str, Any]) -> dict[str, Any]:
    """A union whose members have tags: exactly one fits, as generators of clients want to know."""
    members, tags = union["anyOf"], union["discriminator"]
    return {
        "description": "What makes a score doubtful, by its kind.",
        "oneOf": members,
        "discriminator": tags,
    }
