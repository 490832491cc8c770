"""NVIDIA's own client of the Open Inference Protocol, against the live server."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from loadgen.common.processes import free_port
from tests.support.paths import GOLDEN, lines
from tests.support.server import KEY_HEADER, Server, serving
from tests.support.tensors import inputs_of

pytestmark = pytest.mark.slow

_ROWS = [line["request"] for line in lines(GOLDEN)]
_TYPES: dict[str, Any] = {"BYTES": object, "FP64": np.float64, "INT64": np.int64}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    address = {"host": "127.0.0.1", "port": str(free_port())}
    with serving(tmp_path_factory.mktemp("server"), **address) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def _key() -> dict[str, str]:
    """A new one each time: the client adds the headers of its request."""
    return dict(KEY_HEADER)


def _inputs(rows: list[dict[str, Any]], *, binary: bool = True) -> list[triton.InferInput]:
    """One for each field; tritonclient sends bytes unless told otherwise."""
    made = []
    for one in inputs_of(rows):
        tensor = triton.InferInput(one["name"], one["shape"], one["datatype"])
        elements = np.array(one["data"], dtype=_TYPES[one["datatype"]])
        tensor.set_data_from_numpy(elements, binary_data=binary)
        made.append(tensor)
    return made


def _requests(rows: list[dict[str, Any]]) -> list[triton.InferInput]:
    """One input of whole requests."""
    tensor = triton.InferInput("request", [len(rows)], "BYTES")
    tensor.set_data_from_numpy(np.array([json.dumps(row) for row in rows], dtype=object))
    return [tensor]


def _positives(http: httpx.Client, rows: list[dict[str, Any]]) -> list[float]:
    """What POST /reg/ says."""
    return [score["positive"] for score in http.post("/reg/", json=rows).json()["body"]]


def test_it_finds_server_and_model_alive_and_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("regno", headers=_key())
    assert not client.is_model_ready("none", headers=_key())
    metadata = client.get_server_metadata(headers=_key())
    (model,) = client.get_model_repository_index(headers=_key())
    assert (model["name"], model["state"]) == ("regno", "READY")
    assert "binary_tensor_data" in metadata["extensions"]


def test_metadata_are_enough_to_make_a_request(
    client: triton.InferenceServerClient, http: httpx.Client
) -> None:
    model = client.get_model_metadata("regno", headers=_key())
    columns = {one["name"]: one["data"] for one in inputs_of(_ROWS[:2])}
    inputs = []
    for one in model["inputs"]:
        tensor = triton.InferInput(one["name"], [2], one["datatype"])
        elements = np.array(columns[one["name"]], dtype=_TYPES[one["datatype"]])
        tensor.set_data_from_numpy(elements)
        inputs.append(tensor)
    result = client.infer("regno", inputs, model["versions"][0], headers=_key())
    assert result.as_numpy("positive").tolist() == _positives(http, _ROWS[:2])


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True])
def test_scores_are_those_of_reg_to_the_last_bit(
    client: triton.InferenceServerClient,
    http: httpx.Client,
    *,
    binary_in: bool,
    binary_out: bool,
) -> None:
    wanted = [triton.InferRequestedOutput("positive", binary_data=binary_out)]
    inputs = _inputs(_ROWS, binary=binary_in)
    result = client.infer("regno", inputs, outputs=wanted, headers=_key(), request_id="a")
    scores = result.as_numpy("positive")
    assert (scores.dtype, scores.shape) == (np.float64, (len(_ROWS),))
    assert scores.tolist() == _positives(http, _ROWS)
    assert result.get_response()["id"] == "a"


def test_whole_requests_give_the_same_with_all_outputs(
    client: triton.InferenceServerClient, http: httpx.Client
) -> None:
    result = client.infer("regno", _requests(_ROWS[:20]), headers=_key())
    assert result.as_numpy("positive").tolist() == _positives(http, _ROWS[:20])
    details = http.post("/reg/?detail=1", json=_ROWS[:20]).json()["body"]
    decisions = [text.decode() for text in result.as_numpy("decision")]
    assert decisions == [detail["decision"] for detail in details]
    warnings = [json.loads(text) for text in result.as_numpy("warnings")]
    assert warnings == [detail["warnings"] for detail in details]


def test_many_at_once_share_batches_and_get_their_own(server: Server, http: httpx.Client) -> None:
    address = f"127.0.0.1:{server.port}"
    with triton.InferenceServerClient(address, concurrency=8) as client:
        waiting = [
            client.async_infer("regno", _inputs([row]), headers=_key()) for row in _ROWS[:60]
        ]
        scores = [one.get_result().as_numpy("positive")[0] for one in waiting]
    assert scores == _positives(http, _ROWS[:60])


def test_its_refusals_say_why(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="x-api-key") as refused:
        client.infer("regno", _inputs(_ROWS[:1]))
    assert refused.value.status() == "401"
    tensor = triton.InferInput("direction", [1], "FP32")
    tensor.set_data_from_numpy(np.array([0], dtype=np.float32))
    with pytest.raises(InferenceServerException, match=r"direction: .*INT64") as refused:
        client.infer("regno", [*_inputs(_ROWS[:1])[:-1], tensor], headers=_key())
    assert refused.value.status() == "400"
    with pytest.raises(InferenceServerException, match="version") as refused:
        client.infer("regno", _inputs(_ROWS[:1]), "none", headers=_key())
    assert refused.value.status() == "404"
    with pytest.raises(InferenceServerException, match="time") as refused:
        client.infer("regno", _inputs(_ROWS), headers=_key(), timeout=1)
    assert refused.value.status() == "429"
