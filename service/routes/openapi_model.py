"""The part of the OpenAPI document for who may see and change the live model."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from model.registry import Change
from model.scorer import Model
from service.routes.models import Outcome, Promotion, Rollback, ShadowChange, State, Versions

Part = dict[str, Any]

_NAME: Final = {
    "name": "name",
    "in": "query",
    "description": "Which of the models that are served",
}
_REFUSALS: Final = ("400", "401", "403", "408", "409", "413", "415", "429", "503")


def paths(
    ref: str, ok: Callable[[str, str], Part], errors: Callable[..., Part], names: Sequence[str]
) -> Part:
    """The operations by address; `ok` and `errors` make the replies that all have.

    `names` are those of the models that are served, the default one first.
    """
    parameters = [{**_NAME, "schema": {"type": "string", "enum": names, "default": names[0]}}]

    def shown(name: str, summary: str, reply: str, *refusals: str) -> Part:
        responses = {"200": ok(reply, summary), **errors("400", "401", "403", "429", *refusals)}
        operation = {
            "operationId": name,
            "summary": summary,
            "parameters": parameters,
            "responses": responses,
        }
        return {"get": {**operation, "security": [{"key": []}]}}

    def change(name: str, summary: str, body: str) -> Part:
        content = {"application/json": {"schema": {"$ref": ref.format(name=body)}}}
        operation = {
            "operationId": name,
            "summary": summary,
            "parameters": parameters,
            "security": [{"key": []}],
            "requestBody": {"required": body == "Promotion", "content": content},
            "responses": {"200": ok("OutcomeReply", "What is live now"), **errors(*_REFUSALS)},
        }
        return {"post": operation}

    how = "The version that serves, and how each worker of this host is"
    return {
        "/model": shown("get_model", how, "StateReply"),
        "/model/versions": shown(
            "get_versions", "The versions in the registry", "VersionsReply", "409", "503"
        ),
        "/model/history": shown(
            "get_history", "Who changed the aliases, when and why", "HistoryReply", "409", "503"
        ),
        "/model/promote": change("promote", "Make a version live", "Promotion"),
        "/model/rollback": change("rollback", "Go back to the previous one", "Rollback"),
        "/model/shadow": change(
            "shadow", "Have a version shadow the live one, or none", "ShadowChange"
        ),
    }


def schemas(ref: str, model: Model) -> Part:
    """Schemas by type name; `parity` is described as that of a model."""
    kinds = (State, Versions, Change, Outcome, Promotion, Rollback, ShadowChange)
    parity = (model.parity,) if model.parity else ()
    _, described = msgspec.json.schema_components((*kinds, *parity), ref_template=ref)
    of_outcome = [{"type": "null"}, *({"$ref": ref.format(name=p.__name__)} for p in parity)]
    described["Outcome"]["properties"]["parity"] = {"anyOf": of_outcome, "default": None}
    return described
