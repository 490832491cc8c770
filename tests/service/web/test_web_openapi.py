"""The document of the web processes is valid, and true of their routes and replies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from service.jobs.states import State
from service.web.openapi import document
from tests.support.decisions import filled
from tests.support.web import READING, Web


@pytest.fixture
def served(web: Web) -> dict[str, Any]:
    reply = web.client.get("/openapi.json")
    assert reply.content_type == "application/json"
    found: dict[str, Any] = reply.json  # type: ignore[assignment]
    return found


def _valid(schema: dict[str, Any], value: object) -> None:
    schemas = document(["regno"])["components"]["schemas"]
    OAS31Validator({**schema, "components": {"schemas": schemas}}).validate(value)


def test_the_document_is_valid_openapi(served: dict[str, Any]) -> None:
    validate(served)
    assert served["openapi"].startswith("3.1")


def test_every_route_is_in_it_and_no_other(web: Web, served: dict[str, Any]) -> None:
    rules = {
        (rule.rule.replace("<name>", "{model}").replace("<", "{").replace(">", "}"), method)
        for rule in web.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith(("/docs", "/openapi.json", "/home", "/static", "/v1/ui"))
        and not rule.rule.endswith(("/review", "/evidence"))  # pages, too
    }
    described = {
        (path, method.upper())
        for path, item in served["paths"].items()
        for method in item.keys() - {"parameters"}
    }
    assert described == rules


def test_all_but_the_probes_ask_for_the_key(served: dict[str, Any]) -> None:
    open_to_all = {
        path
        for path, item in served["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and "security" not in operation
    }
    assert open_to_all == {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}


def test_every_example_is_of_its_schema(served: dict[str, Any]) -> None:
    seen = 0
    for item in served["paths"].values():
        for operation in (item[method] for method in item.keys() - {"parameters"}):
            contents = [
                *operation.get("requestBody", {}).get("content", {}).values(),
                *(
                    content
                    for reply in operation["responses"].values()
                    for content in reply.get("content", {}).values()
                ),
            ]
            for content in contents:
                examples = [one["value"] for one in content.get("examples", {}).values()]
                for example in [*examples, *([content["example"]] if "example" in content else [])]:
                    _valid(content["schema"], example)
                    seen += 1
    assert seen >= 6


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED])
def test_what_is_replied_is_of_its_schema(state: State, web: Web) -> None:
    reply = web.submit(READING, {"X-Request-Timeout-Ms": "60000"})
    _valid({"$ref": "#/components/schemas/JobReply"}, reply.json)
    web.end(reply, b"{}", state, error="direction: is missing", version="v7")
    _valid(
        {"$ref": "#/components/schemas/JobReply"},
        web.call("GET", reply.headers["Location"]).json,
    )
    _valid({"$ref": "#/components/schemas/JobListReply"}, web.call("GET", "/jobs").json)
    _valid({"$ref": "#/components/schemas/ErrorReply"}, web.call("GET", "/jobs/0").json)


def test_decisions_are_of_their_schemas(make_web: Callable[..., Web], tmp_path: Path) -> None:
    log = filled(tmp_path / "log", 2)
    web = make_web(reviewers="example", decisions_dir=str(log.folder))
    label = {"request_id": "request-1", "outcome": "camera"}
    for name, reply in (
        ("FeedbackReply", web.call("POST", "/feedback", json=label)),
        ("DecisionReply", web.call("GET", "/decisions/request-1")),
        ("DecisionListReply", web.call("GET", "/decisions")),
    ):
        assert reply.status_code == 200
        _valid({"$ref": f"#/components/schemas/{name}"}, reply.json)


@pytest.mark.parametrize("path", ["/docs", "/v1/ui"])
def test_the_page_is_there_and_can_not_be_framed(web: Web, path: str) -> None:
    assert web.client.get(path).headers["Location"] == f"{path}/"
    page = web.client.get(f"{path}/", buffered=True)
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
