"""The edge passes the Open Inference Protocol on, and reports errors in its form."""

import json

import pytest

from service.edge.config import INFERENCE_BODY
from service.routes.inference import LONGEST_BODY
from tests.support.echo import Echo
from tests.support.edge import Edge
from tests.support.paths import GOLDEN, lines
from tests.support.server import KEY_HEADER, Server
from tests.support.tensors import in_bytes, inputs_of, outputs_of

pytestmark = pytest.mark.slow

_INFER = "/v2/models/regno/infer"
_PATHS = (
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/regno", "/v2/models/regno/ready"),
    *("/v2/models/regno/versions/1.0+a", "/v2/models/regno/versions/1.0+a/ready"),
)


def test_scores_come_through_in_json_and_bytes(edge: Edge, service: Server) -> None:
    row = lines(GOLDEN)[0]["request"]
    body = json.dumps({"inputs": inputs_of([row])}).encode()
    with service.client() as client:
        expected = client.post("/reg/", json=row).json()["body"]["positive"]
    reply = edge.ask("POST", _INFER, body, KEY_HEADER)
    assert (reply.status, outputs_of(json.loads(reply.body))["positive"]) == (200, [expected])
    body, header = in_bytes(inputs_of([row]))
    reply = edge.ask("POST", _INFER, body, {**KEY_HEADER, **header})
    assert (reply.status, outputs_of(json.loads(reply.body))["positive"]) == (200, [expected])


@pytest.mark.parametrize("path", _PATHS)
def test_its_addresses_are_passed_on(path: str, bare: Edge, echo: Echo) -> None:
    assert bare.ask("GET", path).status == 200
    assert echo.received[0].path == path


@pytest.mark.parametrize("path", ["/v2/", "/v2/models", "/v2/repository", "/v2/models/a/b"])
def test_no_others_are(path: str, bare: Edge, echo: Echo) -> None:
    reply = bare.ask("GET", path)
    assert (reply.status, list(json.loads(reply.body))) == (404, ["error"])
    assert echo.received == []


def test_the_edges_own_refusals_are_in_the_protocols_form(bare: Edge, echo: Echo) -> None:
    assert INFERENCE_BODY == LONGEST_BODY
    for status, body, headers in (
        (401, b"{}", {"x-api-key": ""}),
        (413, b" " * (LONGEST_BODY + 1), KEY_HEADER),
    ):
        reply = bare.ask("POST", _INFER, body, headers)
        assert (reply.status, list(json.loads(reply.body))) == (status, ["error"])
        assert reply.header("X-Request-Id")
    assert [one.path for one in echo.received if one.path == _INFER] == []
