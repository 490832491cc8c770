"""The metrics of pictures, on the page of the real web processes; the end of a picture process."""

import re
import signal
from collections import Counter
from collections.abc import Iterator

import httpx
import psutil
import pytest
from PIL import Image

from tests.support.paths import ROOT
from tests.support.pictures import file_of, five
from tests.support.server import METRICS_TOKEN, eventually
from tests.support.web_server import WebServer, web_serving

pytestmark = pytest.mark.slow

_CAT = ROOT / "tests" / "support" / "photos" / "cat.jpg"
_PLACE = "pictures-0"
_STARTS = "scoring_picture_worker_starts_total"
_UP = f'scoring_picture_worker_up{{worker="{_PLACE}"}}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_serving(tmp_path_factory.mktemp("web")) as server:
        eventually(lambda: _values(server).get(_UP) == 1, "the picture process runs")
        yield server


def _values(server: WebServer) -> dict[str, float]:
    """All samples of the page."""
    headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    page = httpx.get(f"{server.url}/metrics", headers=headers).raise_for_status().text
    return {
        name: float(value) for name, value in re.findall(r"^([^#\n]+) (\S+)$", page, re.MULTILINE)
    }


def _post(server: WebServer, picture: bytes) -> int:
    with server.client() as client:
        headers = {"content-type": "image/png"}
        return client.post("/digits/classify", content=picture, headers=headers).status_code


def _requests(outcome: str) -> str:
    return f'scoring_picture_requests_total{{model="digits",outcome="{outcome}"}}'


def test_every_picture_is_counted_by_what_became_of_it(server: WebServer) -> None:
    before = _values(server)
    assert before["scoring_picture_workers_configured"] == 1
    assert before[_requests("unavailable")] == 0
    blank, digit = file_of(Image.new("L", (40, 40), 255), "PNG"), file_of(five(), "PNG")
    statuses = [_post(server, picture) for picture in (digit, digit, digit, blank, b"", b"text")]
    assert statuses == [201, 201, 201, 400, 400, 400]
    after = _values(server)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown[_requests("scored")] == 3
    assert grown[_requests("refused")] == 3
    assert grown['scoring_catalog_rows_total{model="digits",result="scored"}'] == 3
    assert grown['scoring_catalog_rows_total{model="digits",result="refused"}'] == 3
    reasons = r'scoring_catalog_rows_refused_total\{model="digits",reason="\w+"\}'
    assert sum(value for name, value in grown.items() if re.fullmatch(reasons, name)) == 3
    assert grown['scoring_picture_request_duration_seconds_count{model="digits"}'] == 6
    assert grown["scoring_picture_wait_seconds_count"] == 6
    assert grown['scoring_picture_decode_seconds_count{model="digits"}'] == 6
    assert grown['scoring_picture_batch_rows_sum{model="digits"}'] == 3
    assert grown['scoring_picture_batch_duration_seconds_count{model="digits"}'] == 3
    assert after["scoring_picture_requests_in_flight"] == 0
    live = rf'scoring_catalog_live\{{model="digits",version="[^"]+",worker="{_PLACE}"\}}'
    assert [value for name, value in after.items() if re.fullmatch(live, name)] == [1]
    drift = r'scoring_catalog_drift_rows_total\{bin="[^"]+",model="digits",variable="ink"\}'
    assert sum(value for name, value in grown.items() if re.fullmatch(drift, name)) == 3
    memory = f'scoring_picture_process_resident_memory_bytes{{worker="{_PLACE}"}}'
    eventually(lambda: _values(server).get(memory, 0) > 2**24, "its memory is shown")


def test_the_inputs_of_photos_are_counted_for_drift(server: WebServer) -> None:
    with server.client() as client:
        files = {"image": ("cat.jpg", _CAT.read_bytes())}
        asked = client.post("/query", data={"query": "cat?"}, files=files)
    assert asked.status_code == 200, asked.text
    eventually(lambda: _photos(server) == {"brightness": 1, "contrast": 1}, "it is counted by both")


def _photos(server: WebServer) -> dict[str, int]:
    """How many photos are counted by each variable."""
    name = r'scoring_catalog_drift_rows_total\{bin="[^"]+",model="imagenet",variable="(\w+)"\}'
    counted: Counter[str] = Counter()
    for series, rows in _values(server).items():
        if found := re.fullmatch(name, series):
            counted[found[1]] += int(rows)
    return dict(counted)


def test_a_restart_is_counted_and_its_counts_go_on(server: WebServer) -> None:
    assert _post(server, file_of(five(), "PNG")) == 201
    before = _values(server)
    (process,) = (
        child
        for child in psutil.Process(server.process.pid).children()
        if "service.images" in child.cmdline()
    )
    process.send_signal(signal.SIGKILL)
    started = before[_STARTS] + 1
    eventually(lambda: _values(server)[_STARTS] == started, "the next one is counted")
    eventually(lambda: _values(server).get(_UP) == 1, "it is up")
    eventually(lambda: _post(server, file_of(five(), "PNG")) == 201, "it scores")
    scored = "scoring_picture_batch_rows_sum" + '{model="digits"}'
    assert _values(server)[scored] > before[scored]
