"""Pieces of OpenAPI documents, for every kind of server."""

from typing import Any, Final

Part = dict[str, Any]

REF: Final = "#/components/schemas/{name}"
JSON: Final = "application/json"
# The server refuses a request by its head, whatever its address.
_OF_HEADS: Final = ("414", "417", "431")
KEY: Final[Part] = {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}}


def ok(schema: str, description: str, *headers: str) -> Part:
    """The reply 200 with a body of a schema, and headers in addition to those of all replies."""
    names = ("X-Request-Id", "X-Model-Version", *headers)
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {JSON: {"schema": ref(schema)}},
    }


def errors(*statuses: str) -> Part:
    """References to the error replies of these statuses, and of those that any address may give."""
    return {
        status: {"$ref": f"#/components/responses/{status}"}
        for status in sorted((*statuses, *_OF_HEADS))
    }


def ref(name: str) -> Part:
    """A reference to a schema."""
    return {"$ref": REF.format(name=name)}


def envelope(body: Part, *statuses: str) -> Part:
    """The schema of a reply with such a body and one of these statuses."""
    return {
        "type": "object",
        "properties": {"body": body, "status": {"enum": list(statuses)}},
        "required": ["body", "status"],
        "additionalProperties": False,
    }


def for_generators(node: Any) -> Any:
    """Return schemas with what client generators need in addition to validation.

    A number without a format is single precision in Go, Java and C#; an enum without a type is
    any object; and none of them takes a list of types.
    """
    if isinstance(node, list):
        return [for_generators(element) for element in node]
    if not isinstance(node, dict):
        return node
    made = {name: for_generators(value) for name, value in node.items()}
    if made.get("type") == "number":
        made["format"] = "double"
    if "enum" in made:
        made.setdefault("type", "string")
    if made.get("required") == []:
        del made["required"]
    return made


def error_responses(described: dict[str, str]) -> Part:
    """The error replies by their statuses, each with its meaning."""
    content = {JSON: {"schema": ref("ErrorReply")}}
    return {status: {"description": text, "content": content} for status, text in described.items()}


def headers(described: dict[str, str]) -> Part:
    """The headers of replies, each with its meaning."""
    return {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in described.items()
    }
