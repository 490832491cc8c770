"""The part of the OpenAPI document for who may see and change the live model."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from service.routes.model import Change, Outcome, Promotion, State

Part = dict[str, Any]

_REFUSALS: Final = ("400", "401", "403", "409", "413", "415", "503")


def paths(ref: str, ok: Callable[[str, str], Part], errors: Callable[..., Part]) -> Part:
    """The operations by address; `ok` and `errors` make the replies that all have."""

    def change(name: str, summary: str, body: str) -> Part:
        content = {"application/json": {"schema": {"$ref": ref.format(name=body)}}}
        return {
            "operationId": name,
            "summary": summary,
            "security": [{"key": []}],
            "requestBody": {"required": body == "Promotion", "content": content},
            "responses": {"200": ok("OutcomeReply", "What is live now"), **errors(*_REFUSALS)},
        }

    shown = {
        "operationId": "get_model",
        "summary": "The version that serves, and how each worker of this host is",
        "security": [{"key": []}],
        "responses": {"200": ok("StateReply", "How they are"), **errors("401", "403")},
    }
    return {
        "/model": {"get": shown},
        "/model/promote": {"post": change("promote", "Make a version live", "Promotion")},
        "/model/rollback": {"post": change("rollback", "Go back to the previous one", "Change")},
    }


def schemas(ref: str) -> Part:
    """Schemas by type name."""
    _, found = msgspec.json.schema_components((State, Outcome, Change, Promotion), ref_template=ref)
    return found
