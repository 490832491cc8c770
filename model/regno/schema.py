"""JSON Schema of the request, the score and its explanation, made from the types that validate."""

from typing import Any

import msgspec

from model.regno.explain import Explanation
from model.regno.request import Reading, describe_custom
from model.regno.scorer import Score


def components(ref_template: str) -> dict[str, Any]:
    """Schemas by type name: those three and `Influence`. `ref_template` holds `{name}`."""
    _, schemas = msgspec.json.schema_components(
        (Reading, Score, Explanation), schema_hook=describe_custom, ref_template=ref_template
    )
    for field in schemas["Reading"]["properties"].values():
        if "pattern" in field and field["type"] in ("number", "integer"):
            field["type"] = [field["type"], "string"]  # msgspec itself tells of the number only
    return schemas
