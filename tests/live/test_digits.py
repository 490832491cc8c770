"""Digits in a running service: served where the settings name them, counted, swapped, shadowed."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from model.digits import BUNDLED
from model.digits.drawing import Pen, drawn
from tests.support.commands import run_module
from tests.support.paths import ROOT
from tests.support.pictures import file_of
from tests.support.server import METRICS_TOKEN, Server, eventually, serving
from tests.support.web_server import web_serving

pytestmark = pytest.mark.slow


def _registry(folder: Path, *arguments: object, name: str = "digits") -> None:
    named = ("--models", folder / "models", "--name", name)
    done = run_module(folder, "model.registry", *arguments, *named, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def _row(digit: int) -> dict[str, str]:
    image = Image.fromarray(drawn(digit, Pen(1.5, gap=4.0)))
    return {"image": b64encode(file_of(image, "PNG")).decode()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    _registry(folder, "add", BUNDLED, "--version", "first")
    _registry(folder, "add", BUNDLED, "--version", "second")
    _registry(folder, "promote", "first")
    regno = ROOT / "model" / "regno" / "regno.cbm"
    _registry(folder, "add", regno, "--version", "usual", name="regno")
    _registry(folder, "promote", "usual", name="regno")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    settings = {
        "registry": str(folder / "models"),
        "registry_poll_seconds": "0.1",
        "extra_models": "digits",
        "shadow_share": "1",
        "workers": "1",
    }
    with serving(folder / "server", **settings) as server:
        yield server


def _post(server: Server, body: Any) -> httpx.Response:
    with server.client() as client:
        return client.post("/digits/", json=body)


def _page(server: Server) -> str:
    with server.client() as client:
        bearer = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        return client.get("/metrics", headers=bearer).raise_for_status().text


def test_pictures_are_scored_alone_and_in_arrays(server: Server) -> None:
    one = _post(server, _row(5))
    assert (one.status_code, one.headers["X-Model-Version"]) == (200, "first")
    assert one.json()["body"]["prediction"] == one.json()["body"]["top"][0]["digit"] == 5
    many = _post(server, [_row(6), {"image": "!"}, _row(9)]).json()
    assert many["status"] == "partial"
    assert [row.get("prediction") for row in many["body"]] == [6, None, 9]
    refused = _post(server, {"image": "aGVsbG8="})
    assert refused.status_code == 400
    assert refused.json()["body"].startswith("image: ")


def test_they_are_documented(server: Server) -> None:
    with server.client() as client:
        document = client.get("/openapi.json").json()
    assert document["paths"]["/digits/"]["post"]["operationId"] == "post_digits"
    image = document["components"]["schemas"]["DigitsPictureFile"]["properties"]["image"]
    assert image["contentEncoding"] == "base64"


def test_inputs_and_scores_are_counted_by_the_bins_of_the_reference(server: Server) -> None:
    _post(server, [_row(digit) for digit in range(10)])
    drift = 'scoring_catalog_drift_rows_total{bin="'

    def counted() -> bool:
        lines = [line for line in _page(server).splitlines() if line.startswith(drift)]
        ink = [line for line in lines if 'model="digits",variable="ink"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in ink) >= 10

    eventually(counted, "the pictures are counted")
    page = _page(server)
    assert 'scoring_catalog_held_out_accuracy_ratio{model="digits"} 0.99' in page
    assert 'scoring_catalog_positive_count{model="digits"}' in page
    assert 'scoring_catalog_drift_reference_ratio{bin="+Inf",model="digits",variable="ink"}' in page


def test_versions_are_shadowed_and_swapped(folder: Path, server: Server) -> None:
    _registry(folder, "shadow", "second")
    compared = 'scoring_catalog_shadow_rows_total{model="digits",result="scored"} '

    def shadowed() -> bool:
        _post(server, _row(6))
        rows = [line for line in _page(server).splitlines() if line.startswith(compared)]
        return any(float(line.rpartition(" ")[2]) > 0 for line in rows)

    eventually(shadowed, "the shadow scores")
    _registry(folder, "promote", "second")
    eventually(
        lambda: _post(server, _row(6)).headers["X-Model-Version"] == "second", "second serves"
    )
    _registry(folder, "rollback")
    eventually(lambda: _post(server, _row(6)).headers["X-Model-Version"] == "first", "first serves")


def test_without_the_setting_they_are_not_served(tmp_path: Path) -> None:
    with serving(tmp_path, workers="1") as server, server.client() as client:
        assert client.post("/digits/", json=_row(5)).status_code == 404
        assert "/digits/" not in client.get("/openapi.json").json()["paths"]


def test_a_job_scores_them(tmp_path: Path) -> None:
    """The web processes check the picture, their worker scores it."""
    with web_serving(tmp_path, extra_models="digits") as web, web.client() as server:
        submitted = server.post("/jobs", json={"model": "digits", "input": _row(9)})
        assert submitted.status_code == 202, submitted.text
        address = submitted.headers["Location"]
        server.get(address, params={"wait": "20"})
        assert server.get(f"{address}/result").json()["body"]["prediction"] == 9
