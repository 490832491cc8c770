"""The document is valid, made from the types that validate, and true of the replies."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from model.regno import RegnoScorer
from model.regno.request import FIELDS, SCORES_PATTERN
from service.routes.openapi import document
from tests.support.strategies import VALID, requests

_decode = RegnoScorer.decoder(10)


@pytest.fixture
def served(client: FlaskClient) -> dict[str, Any]:
    reply = client.get("/openapi.json")
    assert reply.content_type == "application/json"
    assert reply.json
    schema: dict[str, Any] = reply.json
    return schema


def _validator(name: str) -> OAS31Validator:
    schemas = document(10)["components"]["schemas"]
    return OAS31Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    )


def test_the_document_is_valid_openapi(served: dict[str, Any]) -> None:
    validate(served)
    assert served["openapi"].startswith("3.1")


def test_the_document_is_public_and_the_key_is_described(served: dict[str, Any]) -> None:
    scheme = {"type": "apiKey", "in": "header", "name": "x-api-key"}
    assert served["components"]["securitySchemes"]["key"] == scheme
    asking = {
        path for path, item in served["paths"].items() for op in item.values() if "security" in op
    }
    reads = {"/model", "/model/versions", "/model/history"}
    model = {*reads, "/model/promote", "/model/rollback", "/model/shadow"}
    versioned = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
    inference = {f"{path}{rest}" for path in versioned for rest in ("", "/ready", "/infer")}
    assert asking == {
        "/",
        "/reg/",
        "/reg/explain",
        *model,
        "/v2",
        "/v2/repository/index",
        *inference,
    }


def test_every_field_is_described_and_required(served: dict[str, Any]) -> None:
    reading = served["components"]["schemas"]["Reading"]
    assert tuple(reading["properties"]) == FIELDS
    assert set(reading["required"]) == set(FIELDS)
    assert all(field["description"] for field in reading["properties"].values())
    score = served["components"]["schemas"]["Score"]
    assert set(score["required"]) == {"negative", "positive"}


_TYPES = {
    "regno_recognize": ["string"],
    "afts_regno_ai": ["string"],
    "recognition_accuracy": ["number", "string"],
    "afts_regno_ai_score": ["number", "string"],
    "afts_regno_ai_char_scores": ["array", "string"],
    "afts_regno_ai_length_scores": ["array", "string"],
    "camera_type": ["string"],
    "camera_class": ["string"],
    "time_check": ["string"],
    "direction": ["integer", "string"],
}


def _unions(field: dict[str, Any]) -> list[dict[str, Any]]:
    members: list[dict[str, Any]] = field.get("anyOf", [field])
    return members


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_has_the_types_that_it_is_read_from(field: str, served: dict[str, Any]) -> None:
    schema = served["components"]["schemas"]["Reading"]["properties"][field]
    assert [member["type"] for member in _unions(schema)] == _TYPES[field]


def test_ranges_are_those_of_the_contract(served: dict[str, Any]) -> None:
    fields = served["components"]["schemas"]["Reading"]["properties"]
    bounds = {
        name: (number.get("minimum"), number.get("maximum"))
        for name, field in fields.items()
        for number in _unions(field)
        if number["type"] in {"number", "integer"}
    }
    assert bounds == {
        "recognition_accuracy": (0, 100),
        "afts_regno_ai_score": (0, 1),
        "direction": (0, 1),
    }


@pytest.mark.parametrize("field", ["afts_regno_ai_char_scores", "afts_regno_ai_length_scores"])
def test_a_list_is_one_or_a_string_that_holds_one(field: str, served: dict[str, Any]) -> None:
    numbers = {"type": "number", "format": "double"}
    schema = served["components"]["schemas"]["Reading"]["properties"][field]
    assert schema["anyOf"] == [
        {"type": "array", "items": numbers, "maxItems": 1000},
        {"type": "string", "pattern": SCORES_PATTERN},
    ]


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """All objects of a document, its examples aside."""
    if isinstance(node, list):
        for element in node:
            yield from _nodes(element)
    elif isinstance(node, dict):
        yield node
        for name, value in node.items():
            if name not in {"examples", "default"}:
                yield from _nodes(value)


def test_generators_find_what_they_need(served: dict[str, Any]) -> None:
    nodes = list(_nodes(served))
    assert [node for node in nodes if isinstance(node.get("type"), list)] == []
    numbers = [node for node in nodes if node.get("type") == "number"]
    assert len(numbers) > 10
    assert {node.get("format") for node in numbers} == {"double"}
    enums = [node for node in nodes if "enum" in node]
    assert len(enums) > 5
    assert {node.get("type") for node in enums} == {"string", "integer"}
    assert [node for node in nodes if node.get("required") == []] == []
    nullable = [node for node in nodes if {"type": "null"} in node.get("anyOf", [])]
    assert len(nullable) > 2
    assert [node for node in nodes if "nullable" in node or "const" in node] == []


def test_patterns_can_be_compiled_without_looking_around(served: dict[str, Any]) -> None:
    patterns = [node["pattern"] for node in _nodes(served) if isinstance(node.get("pattern"), str)]
    assert len(patterns) == 8
    # Neither look-around nor back-references: the engines of Go and Rust have none.
    assert [pattern for pattern in patterns if re.search(r"\(\?[=!<]|\\[1-9]", pattern)] == []


def test_operations_have_names_of_their_own_and_bodies_with_names(served: dict[str, Any]) -> None:
    operations = [operation for item in served["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) == 21
    contents = [node["application/json"] for node in _nodes(served) if "application/json" in node]
    assert len(contents) > len(operations)
    known = {f"#/components/schemas/{name}" for name in served["components"]["schemas"]}
    assert {content["schema"].get("$ref") for content in contents} <= known


def test_warnings_are_distinguished_by_their_kind(served: dict[str, Any]) -> None:
    schemas = served["components"]["schemas"]
    assert schemas["Detail"]["properties"]["warnings"]["items"] == {
        "$ref": "#/components/schemas/Doubt"
    }
    doubt = schemas["Doubt"]
    assert doubt["discriminator"]["propertyName"] == "kind"
    mapping = doubt["discriminator"]["mapping"]
    assert {member["$ref"] for member in doubt["oneOf"]} == set(mapping.values())
    for kind, target in mapping.items():
        tag = schemas[target.rpartition("/")[2]]["properties"]["kind"]
        assert tag == {"type": "string", "enum": [kind]}


@given(requests(confidences=st.floats(-1e6, 1e6)))
def test_every_request_of_the_contract_is_in_the_document(request: dict[str, Any]) -> None:
    _validator("Reading").validate(request)


def test_the_example_of_the_document_is_scored(
    served: dict[str, Any], client: FlaskClient, key: dict[str, str]
) -> None:
    content = served["paths"]["/reg/"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        reply = client.post("/reg/", json=example["value"], headers=key)
        assert reply.status_code == 200
        _validator("ScoreReply").validate(reply.json)


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b"[" + VALID + b",1]", VALID])
def test_explanations_are_as_documented(
    body: bytes, client: FlaskClient, key: dict[str, str]
) -> None:
    reply = client.post("/reg/explain", data=body, content_type="application/json", headers=key)
    assert reply.status_code == 200
    _validator("ExplanationReply").validate(reply.json)


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b"[" + VALID + b",1]", VALID])
def test_scores_are_as_documented(body: bytes, client: FlaskClient, key: dict[str, str]) -> None:
    reply = client.post("/reg/", data=body, content_type="application/json", headers=key)
    assert reply.status_code == 200
    _validator("ScoreReply").validate(reply.json)


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [("POST", "/reg/", 401), ("GET", "/", 401), ("PUT", "/reg/", 405), ("GET", "/none", 404)],
)
def test_errors_are_as_documented(
    method: str, address: str, status: int, client: FlaskClient
) -> None:
    reply = client.open(address, method=method)
    assert reply.status_code == status
    _validator("ErrorReply").validate(reply.json)


def test_the_statuses_of_the_score_are_documented(served: dict[str, Any]) -> None:
    statuses = set(served["paths"]["/reg/"]["post"]["responses"])
    assert {"200", "400", "401", "413", "415", "500"} <= statuses


class _Links(HTMLParser):
    """The addresses that a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe"}:
            self.targets += [value for name, value in attrs if name in {"src", "href"} and value]


def test_the_page_shows_the_document_with_files_of_its_own(client: FlaskClient) -> None:
    page = client.get("/docs/")
    assert page.status_code == 200
    assert page.content_type.startswith("text/html")
    links = _Links()
    links.feed(page.text)
    assert any(link.endswith(".js") for link in links.targets)
    for link in links.targets:
        assert not re.match("(?:[a-z]+:)?//", link), link
        asset = client.get(f"/docs/{link}" if not link.startswith("/") else link)
        assert asset.status_code == 200, link
        asset.close()
    assert "/openapi.json" in page.text


def test_the_page_and_its_own_scripts_load_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs/").text
    assert not re.findall(r"https?://(?!localhost/)", page)
    with client.get("/docs/index.css") as style:
        assert not re.findall(r"url\(\s*['\"]?https?:", style.get_data(as_text=True))
        assert "@import" not in style.get_data(as_text=True)
    with client.get("/docs/swagger-ui.css") as style:
        assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//", style.get_data(as_text=True))
        assert "@import" not in style.get_data(as_text=True)


def test_the_page_asks_no_validator_on_the_net(client: FlaskClient) -> None:
    page = client.get("/docs/").text
    assert re.search(r'"validatorUrl": *null', page)
