"""JSON Schema of what is asked and told, made from the types that validate."""

from inspect import cleandoc
from typing import Any

import msgspec

from model.regno.detail import Detail
from model.regno.explain import Explanation
from model.regno.request import Reading, describe_custom
from model.regno.scorer import Score


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
    for field in schemas["Reading"]["properties"].values():
        if "pattern" in field and field["type"] in ("number", "integer"):
            field["type"] = [field["type"], "string"]  # msgspec itself tells of the number only
    return schemas
