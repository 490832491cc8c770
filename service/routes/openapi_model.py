"""The part of the OpenAPI document for who may see and change the live model."""

from collections.abc import Sequence
from typing import Final

import msgspec

from model.registry import Change
from model.scorer import Model
from service.http.openapi import JSON, REF, Part, errors, ok, ref
from service.routes.models import Outcome, Promotion, Rollback, ShadowChange, State, Versions

_REFUSALS: Final = ("400", "401", "403", "408", "409", "413", "415", "429", "503")


def paths(names: Sequence[str]) -> Part:
    """The operations by address; `names` are the served models', the default one's first."""
    named = {
        "name": "name",
        "in": "query",
        "description": "Which of the models that are served",
        "schema": {"type": "string", "enum": names, "default": names[0]},
    }
    how = "The live version, and the state of each worker of this host"
    shadow = "Set the shadow version, or remove it"
    return {
        "/model": _shown(named, "get_model", how, "StateReply"),
        "/model/versions": _shown(
            named, "get_versions", "The versions in the registry", "VersionsReply", "409", "503"
        ),
        "/model/history": _shown(
            *(named, "get_history", "Who changed the aliases, when and why", "HistoryReply"),
            *("409", "503"),
        ),
        "/model/promote": _change(named, "promote", "Make a version live", Promotion),
        "/model/rollback": _change(named, "rollback", "Roll back to the previous one", Rollback),
        "/model/shadow": _change(named, "shadow", shadow, ShadowChange),
    }


def _shown(named: Part, name: str, summary: str, reply: str, *refusals: str) -> Part:
    """An operation that shows something; `named` is the parameter that names the model."""
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "parameters": [named],
            "responses": {
                "200": ok(reply, summary),
                **errors("400", "401", "403", "429", *refusals),
            },
            "security": [{"key": []}],
        }
    }


def _change(named: Part, name: str, summary: str, body: type[msgspec.Struct]) -> Part:
    """An operation that changes what is live; a body without required fields may be left out."""
    required = any(field.required for field in msgspec.structs.fields(body))
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "parameters": [named],
            "security": [{"key": []}],
            "requestBody": {
                "required": required,
                "content": {JSON: {"schema": ref(body.__name__)}},
            },
            "responses": {"200": ok("OutcomeReply", "What is live now"), **errors(*_REFUSALS)},
        }
    }


def schemas(model: Model) -> Part:
    """Schemas by type name; `parity` is described as that of a model."""
    kinds = (State, Versions, Change, Outcome, Promotion, Rollback, ShadowChange)
    parity = (model.parity,) if model.parity else ()
    _, described = msgspec.json.schema_components((*kinds, *parity), ref_template=REF)
    of_outcome = [{"type": "null"}, *(ref(kind.__name__) for kind in parity)]
    described["Outcome"]["properties"]["parity"] = {"anyOf": of_outcome, "default": None}
    return described
