"""What the parts of the OpenAPI document share: references, replies and refusals."""

from typing import Any, Final, TypeAlias

# An object of the document, as JSON has it.
Part: TypeAlias = dict[str, Any]

JSON: Final = "application/json"
REF: Final = "#/components/schemas/{name}"
# The server refuses a request by its head, whatever its address.
_OF_HEADS: Final = ("414", "417", "431")


def ref(name: str) -> Part:
    """A reference to a schema."""
    return {"$ref": REF.format(name=name)}


def ok(schema: str, description: str, *headers: str) -> Part:
    """The reply 200 with a body of a schema, and headers in addition to those of all replies."""
    names = ("X-Request-Id", "X-Model-Version", *headers)
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {JSON: {"schema": ref(schema)}},
    }


def errors(*statuses: str) -> Part:
    """The refusals of an operation by status, and those that every operation has."""
    return {
        status: {"$ref": f"#/components/responses/{status}"}
        for status in sorted((*statuses, *_OF_HEADS))
    }
