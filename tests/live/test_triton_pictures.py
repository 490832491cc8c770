"""NVIDIA's own client of the Open Inference Protocol, with pictures for the web processes."""

import json
from base64 import b64encode
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from model.digits import MODEL, picture_of
from model.digits.model import BUNDLED
from tests.support.paths import ROOT
from tests.support.pictures import bomb, file_of, five
from tests.support.server import KEY_HEADER
from tests.support.web_server import WebServer, web_serving

pytestmark = pytest.mark.slow

_FIVE = file_of(five(), "PNG")
_PHOTOS = ROOT / "tests/support/photos"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_serving(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: WebServer) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=60) as client:
        yield client


def _key() -> dict[str, str]:
    """A new one each time: the client adds the headers of its request."""
    return dict(KEY_HEADER)


def _tensor(name: str, *elements: bytes | str) -> triton.InferInput:
    tensor = triton.InferInput(name, [len(elements)], "BYTES")
    tensor.set_data_from_numpy(np.array(elements, dtype=object))
    return tensor


def test_it_finds_the_models_of_pictures_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    index = client.get_model_repository_index(headers=_key())
    assert [(one["name"], one["state"]) for one in index] == [
        ("regno", "UNKNOWN"),  # it is served by other processes
        *((name, "READY") for name in ("digits", "imagenet", "cat", "dog")),
    ]
    assert index[0]["version"].startswith("regno-sim-")
    assert index[0]["reason"] == "GET /v2/models/regno/ready"
    assert client.is_model_ready("digits", headers=_key())
    assert not client.is_model_ready("regno", headers=_key())
    digits = client.get_model_metadata("digits", headers=_key())
    assert digits["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert digits["versions"] == [index[1]["version"]]


def test_probabilities_have_all_their_digits(client: triton.InferenceServerClient) -> None:
    scorer = MODEL.load(BUNDLED)
    (expected,) = scorer.score([picture_of(_FIVE)])
    result = client.infer("digits", [_tensor("image", _FIVE)], headers=_key(), request_id="a")
    (probabilities,) = result.as_numpy("probabilities")
    assert json.loads(probabilities) == expected.probabilities
    assert result.as_numpy("confidence").tolist() == [expected.confidence]
    assert result.as_numpy("prediction").tolist() == [5]
    shown = result.get_response()
    assert (shown["id"], shown["model_version"]) == ("a", scorer.version)


def test_several_pictures_and_queries_come_in_one_request(
    client: triton.InferenceServerClient,
) -> None:
    files = [(_PHOTOS / name).read_bytes() for name in ("cat.jpg", "coffee.jpg")]
    answers = client.infer("cat", [_tensor("image", *files)], headers=_key())
    assert answers.as_numpy("answer").tolist() == [b"true", b"false"]
    asked = [_tensor("image", *files), _tensor("query", "dog?", "cat?")]
    answers = client.infer("imagenet", asked, headers=_key())
    assert answers.as_numpy("answer").tolist() == [b"false", b"false"]
    (first, _) = map(json.loads, answers.as_numpy("top"))
    assert len(first) == 5


def test_whole_requests_in_json_hold_base64(client: triton.InferenceServerClient) -> None:
    row = json.dumps({"image": b64encode(_FIVE).decode()})
    result = client.infer("digits", [_tensor("request", row)], headers=_key())
    assert result.as_numpy("prediction").tolist() == [5]


def test_its_refusals_say_why(client: triton.InferenceServerClient) -> None:
    good = _tensor("image", _FIVE)
    for match, status, arguments in (
        (r"x-api-key", "401", ("digits", [good], "", {})),
        (r"no model of this name", "404", ("regno", [good], "", _key())),
        (r"this version", "404", ("digits", [good], "none", _key())),
        (r"row 1: image: ", "400", ("digits", [_tensor("image", _FIVE, b"none")], "", _key())),
        (r"row 0: image: .*pixels", "400", ("cat", [_tensor("image", bomb())], "", _key())),
        (r"longer", "413", ("cat", [_tensor("image", b"x" * (12 << 20))], "", _key())),
    ):
        name, inputs, version, headers = arguments
        with pytest.raises(InferenceServerException, match=match) as refused:
            client.infer(name, inputs, version, headers=headers)
        assert refused.value.status() == status
    assert client.infer("digits", [good], headers=_key()).as_numpy("prediction").tolist() == [5]
