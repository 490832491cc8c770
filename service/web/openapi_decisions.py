"""The OpenAPI document of decisions and feedback."""

from typing import Any, Final

import msgspec

from service.decisions.decision import OUTCOMES, Decision
from service.http.openapi import JSON, REF, Part, envelope, errors, ref
from service.web.openapi_pictures import KEY_OR_SESSION
from service.web.routes.decisions import (
    DECISIONS,
    FEEDBACK,
    GREATEST,
    MOST_LABELS,
    MOST_LISTED,
    REQUEST_ID,
    USUALLY_LISTED,
    DecisionList,
    DecisionShown,
    FeedbackCounts,
    GivenLabel,
)

_EVERYWHERE: Final = ("400", "401", "403", "429", "500", "501", "503")
_OF_ONE: Final = ("404", "410", *_EVERYWHERE)
_ID: Final = "3f0e6a5e0c4b4d0e9f7d1a2b3c4d5e6f"
_LINE: Final[Part] = {
    "entry": 4711,
    "request_id": _ID,
    "row": 0,
    "time": "2026-11-30T10:08:10.557Z",
    "version": "regno-sim-a1233957",
    "decision": "manual",
    "positive": 0.41,
    "audit_probability": 0.01,
}
_ROW: Final[Part] = {"type": "integer", "minimum": 0, "maximum": 1_000_000, "default": 0}
_FOR_REVIEWERS: Final = "For the keys in SCORING_REVIEWERS only."


def paths() -> Part:
    """The addresses."""
    named = {
        "name": "request_id",
        "in": "path",
        "required": True,
        "description": "The id of the request, as X-Request-Id named it",
        "schema": {"type": "string", "pattern": REQUEST_ID},
    }
    row = _query("row", "The place in the array of the request", _ROW)
    return {
        DECISIONS: {"get": _list()},
        f"{DECISIONS}/{{request_id}}": {"parameters": [named, row], "get": _show()},
        f"{DECISIONS}/{{request_id}}/proof": {"parameters": [named, row], "get": _prove()},
        FEEDBACK: {"post": _feedback()},
    }


def schemas() -> Part:
    """The bodies of requests and replies."""
    kinds = (Decision, DecisionList, DecisionShown, GivenLabel, FeedbackCounts)
    _, made = msgspec.json.schema_components(kinds, ref_template=REF)
    made["DecisionShown"]["properties"]["decision"] = ref("Decision")
    given = {"oneOf": [{"required": [name]} for name in ("outcome", "true_reading")]}
    made["GivenLabel"] |= given
    return {
        **made,
        "DecisionListReply": envelope(ref("DecisionList"), "ok"),
        "DecisionReply": envelope(ref("DecisionShown"), "ok"),
        "FeedbackReply": envelope(ref("FeedbackCounts"), "ok"),
    }


def _list() -> Part:
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": USUALLY_LISTED}
    after = {"type": "integer", "minimum": 0, "maximum": GREATEST}
    text: Part = {"type": "string"}
    flag: Part = {"type": "integer", "enum": [0, 1], "default": 0}
    moment = {**text, "examples": ["2026-11-30T12:00Z", "12h"]}
    reply = {"decisions": [_LINE], "next": None}
    return {
        "operationId": "list_decisions",
        "summary": "Decisions, newest first, without their plates",
        "description": _FOR_REVIEWERS,
        "security": KEY_OR_SESSION,
        "parameters": [
            _query("since", "Not before this time, or this age", moment),
            _query("until", "Before this time, or this age", moment),
            _query("version", "Scored by this version", text),
            _query("decision", "Such as manual", text),
            _query("audited", "1: drawn for review", flag),
            _query("after", "From behind this one: the `next` of the page before", after),
            _query("limit", "At most so many", limit),
        ],
        "responses": {
            "200": _reply("DecisionListReply", "Some decisions, and the next page", reply),
            **errors(*_EVERYWHERE),
        },
    }


def _show() -> Part:
    return {
        "operationId": "get_decision",
        "summary": "A decision with its plates, and what was said of it since",
        "description": f"{_FOR_REVIEWERS} Each access is an entry of the log.",
        "security": KEY_OR_SESSION,
        "responses": {
            "200": _reply("DecisionReply", "The decision"),
            **errors(*_OF_ONE),
        },
    }


def _prove() -> Part:
    return {
        "operationId": "get_proof",
        "summary": "The proof of a decision, with its plates",
        "description": f"{_FOR_REVIEWERS} Each access is an entry of the log. "
        "`plate-scoring decisions verify` checks it without the log.",
        "security": KEY_OR_SESSION,
        "responses": {
            "200": _bare("The proof", {"type": "object"}),
            **errors(*_OF_ONE),
        },
    }


def _feedback() -> Part:
    one = {"request_id": _ID, "outcome": OUTCOMES[0], "source": "court"}
    many = [one, {"request_id": _ID, "row": 3, "true_reading": "А123ВС77"}]
    label = ref("GivenLabel")
    array = {"type": "array", "items": label, "minItems": 1, "maxItems": MOST_LABELS}
    return {
        "operationId": "give_feedback",
        "summary": "Say what became of decisions",
        "description": f"{_FOR_REVIEWERS} Of an array all labels are taken, or none. A label that "
        "its source has given before adds nothing. A true reading is compared, and not kept.",
        "security": KEY_OR_SESSION,
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {"anyOf": [label, array]},
                    "examples": {"one": {"value": one}, "many": {"value": many}},
                }
            },
        },
        "responses": {
            "200": _reply("FeedbackReply", "They are kept", {"labelled": 1, "repeated": 0}),
            **errors("413", "415", *_OF_ONE),
        },
    }


def _query(name: str, description: str, schema: Part) -> Part:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _reply(schema: str, description: str, example: Any = None) -> Part:
    made = _bare(description, ref(schema))
    if example is not None:
        made["content"][JSON]["example"] = {"body": example, "status": "ok"}
    return made


def _bare(description: str, schema: Part) -> Part:
    header = {"$ref": "#/components/headers/X-Request-Id"}
    return {
        "description": description,
        "headers": {"X-Request-Id": header},
        "content": {JSON: {"schema": schema}},
    }
