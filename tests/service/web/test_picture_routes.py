"""Pictures over HTTP: how they may be sent, what is replied, what is kept."""

from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image
from werkzeug.test import TestResponse

from model import InvalidRequest, NoDecoder
from model.pictures.decoder import LIMITS
from service.config.settings import Settings
from service.images.client import Pictures, PicturesBusy, PicturesFailed, PicturesUnavailable
from service.images.messages import Answer, Task
from tests.support.pictures import file_of
from tests.support.server import KEY_HEADER
from tests.support.web import KEYS, OTHER_HEADER, Web, body_of, reason_of

PICTURE = file_of(Image.new("RGB", (9, 9)), "PNG")
_TOP = [{"digit": 5, "probability": 0.9}]
_DIGIT = {"prediction": 5, "confidence": 0.9, "top": _TOP, "probabilities": [0.1] * 10}
_PHOTO = {
    "positive": 0.93,
    "top": [{"label": "tabby", "probability": 0.9}],
    "query": "cat?",
    "answer": True,
}


class Answering(Pictures):
    """The picture process, whose answers are known; what it was asked is in `tasks`."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.photo: dict[str, Any] = _PHOTO
        self.fault: Exception | None = None

    def score(self, task: Task) -> Answer:
        self.tasks.append(task)
        if self.fault:
            raise self.fault
        png = b"png of " + task.picture if task.keep else b""
        return Answer(self.photo if task.query else _DIGIT, "v1", png)


@pytest.fixture
def answering() -> Answering:
    return Answering()


@pytest.fixture
def web(settings: Settings, tmp_path: Path, answering: Answering) -> Web:
    (tmp_path / "data").mkdir()
    named = {"jobs_dir": str(tmp_path / "jobs"), "api_keys": KEYS}
    changed = msgspec.structs.replace(settings, digits_data=str(tmp_path / "data"), **named)
    return Web(changed, pictures=answering)


def _form(field: str, **fields: str) -> dict[str, Any]:
    return {"data": {field: (BytesIO(PICTURE), "n5.png"), **fields}}


def _classified(web: Web, query: str = "", **rest: Any) -> TestResponse:
    return web.call("POST", f"/digits/classify{query}", **rest)


_WAYS: dict[str, Callable[[], dict[str, Any]]] = {
    "body": lambda: {"data": PICTURE, "content_type": "image/png"},
    "bytes": lambda: {"data": PICTURE, "content_type": "application/octet-stream"},
    "file": lambda: _form("file"),
    "image": lambda: _form("image"),
    "path": lambda: {"json": {"image_path": "n5.png"}},
    "deep": lambda: {"json": {"image_path": "a/../n5.png"}},
}


@pytest.mark.parametrize("way", _WAYS)
def test_a_digit_may_be_sent_in_many_ways(
    web: Web, answering: Answering, tmp_path: Path, way: str
) -> None:
    (tmp_path / "data/n5.png").write_bytes(PICTURE)
    reply = _classified(web, **_WAYS[way]())
    assert (reply.status_code, reply.json) == (201, "[5]")
    assert reply.headers["X-Model-Version"] == "v1"
    assert answering.tasks == [Task("digits", PICTURE)]


def test_details_are_an_object(web: Web) -> None:
    reply = _classified(web, "?detail=1", data=PICTURE, content_type="image/png")
    assert reply.status_code == 201
    assert body_of(reply) == {"prediction": 5, "confidence": 0.9, "top": _TOP}
    refused = _classified(web, "?detail=yes", data=PICTURE, content_type="image/png")
    assert refused.status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        *("../secret", "/etc/passwd", "link", "none.png", "", ".", "a\0b", "a" * 300, "a/" * 3000),
        *(5, None, ["n5.png"]),
    ],
)
def test_a_path_leads_out_of_the_folder_in_no_way(
    web: Web, answering: Answering, tmp_path: Path, path: object
) -> None:
    (tmp_path / "secret").write_bytes(PICTURE)
    (tmp_path / "data/link").symlink_to(tmp_path / "secret")
    reply = _classified(web, json={"image_path": path})
    assert reply.status_code == 400
    assert reason_of(reply).startswith("image_path: ")
    assert answering.tasks == []


def test_without_a_folder_there_are_no_paths(make_web: Callable[..., Web]) -> None:
    reply = _classified(make_web(), json={"image_path": "n5.png"})
    assert "SCORING_DIGITS_DATA" in reason_of(reply)


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        ({"data": b"x", "content_type": "text/plain"}, 415),
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b"[]", "content_type": "application/json"}, 400),
        ({"json": {}}, 400),
        ({"data": {"other": "1"}, "content_type": "multipart/form-data"}, 400),
        ({"data": b"x" * (LIMITS.file_bytes + 66_000), "content_type": "image/png"}, 413),
    ],
)
def test_what_holds_no_picture_is_refused(
    web: Web, answering: Answering, rest: dict[str, Any], status: int
) -> None:
    reply = _classified(web, **rest)
    assert reply.status_code == status
    assert reason_of(reply)
    assert answering.tasks == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (InvalidRequest("image", "no digit"), 400),
        (NoDecoder("busy"), 503),
        (PicturesBusy(), 429),
        (PicturesUnavailable(), 503),
        (PicturesFailed(), 500),
    ],
)
def test_what_the_picture_process_says_has_a_status(
    web: Web, answering: Answering, fault: Exception, status: int
) -> None:
    answering.fault = fault
    reply = _classified(web, data=PICTURE, content_type="image/png")
    assert reply.status_code == status
    assert reason_of(reply)
    assert ("Retry-After" in reply.headers) == (status in {429, 503})


def _inferred(web: Web, **headers: str) -> Any:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    reply = web.call("POST", "/v1/inference", named, **_form("file_name"))
    assert reply.status_code == 200
    return reply.json


def test_an_inference_is_kept_with_its_picture(web: Web) -> None:
    entry = _inferred(web)
    assert set(entry) == {"img_url", "prediction", "confidence"}
    assert (entry["prediction"], entry["confidence"]) == (5, 0.9)
    assert web.call("GET", "/v1/inference").json == [entry]
    picture = web.call("GET", entry["img_url"])
    assert picture.data == b"png of " + PICTURE
    assert picture.content_type == "image/png"
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in picture.headers["Content-Security-Policy"]
    known = {"If-None-Match": picture.headers["ETag"]}
    assert web.call("GET", entry["img_url"], known).status_code == 304
    web.call("DELETE", entry["img_url"])
    assert web.call("GET", entry["img_url"], known).status_code == 404


def test_an_empty_file_is_not_the_same_as_none(web: Web, answering: Answering) -> None:
    empty = {"file_name": (BytesIO(b""), "n5.png")}
    assert web.call("POST", "/v1/inference", data=empty).status_code == 200
    assert answering.tasks == [Task("digits", b"", keep=True)], "the picture process says it"
    unnamed = {"file_name": (BytesIO(b""), "")}
    reply = web.call("POST", "/v1/inference", data=unnamed)
    assert reason_of(reply) == "file_name: is missing"


def test_the_file_must_have_its_field(web: Web) -> None:
    reply = web.call("POST", "/v1/inference", **_form("file"))
    assert (reply.status_code, reason_of(reply)) == (400, "file_name: is missing")


def test_the_history_is_paged_by_its_links(web: Web) -> None:
    for _ in range(5):
        _inferred(web)
    seen, path = 0, "/v1/inference?limit=2"
    while path:
        page = web.call("GET", path)
        assert page.json is not None
        seen += len(page.json)
        path = page.headers.get("Link", "").partition(">")[0].lstrip("<")
    assert seen == 5


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "limit=1001", "after=-1", "after=x", "after=1000000000000000000"],
)
def test_a_bad_page_is_refused(web: Web, query: str) -> None:
    assert web.call("GET", f"/v1/inference?{query}").status_code == 400


def test_pictures_of_others_are_not_there_and_can_not_be_deleted(web: Web) -> None:
    url = _inferred(web)["img_url"]
    for method in ("GET", "DELETE"):
        assert web.client.open(url, method=method, headers=OTHER_HEADER).status_code == 404
        assert web.client.open(url, method=method).status_code == 401
    assert web.client.get("/v1/inference", headers=OTHER_HEADER).json == []
    assert web.call("DELETE", url).status_code == 200
    assert web.call("GET", url).status_code == 404
    assert web.call("GET", "/v1/inference").json == []


@pytest.mark.parametrize("name", ["x.png", "../history.sqlite", f"{'A' * 64}.png", "0.png"])
def test_no_other_file_is_served(web: Web, name: str) -> None:
    assert web.call("GET", f"/uploads/{name}").status_code == 404


def test_a_query_is_answered(web: Web, answering: Answering) -> None:
    assert "cat?" in body_of(web.call("GET", "/query"))["queries"]
    reply = web.call("POST", "/query", **_form("image", query="cat?"))
    assert body_of(reply) == {
        "query": "cat?",
        "answer": True,
        "probability": 0.93,
        "top": _PHOTO["top"],
    }
    assert answering.tasks == [Task("imagenet", PICTURE, "cat?")]


def test_an_unknown_query_is_404_and_names_the_known_ones(web: Web, answering: Answering) -> None:
    reply = web.call("POST", "/query", **_form("image", query="cow?"))
    assert reply.status_code == 404
    assert "cat?, dog?" in reason_of(reply)
    assert web.call("POST", "/query", **_form("image")).status_code == 400
    assert answering.tasks == []


def test_urls_are_off_until_hosts_are_named(web: Web) -> None:
    reply = web.call("POST", "/query", json={"query": "cat?", "image_url": "https://a.example/c"})
    assert reply.status_code == 400
    assert reason_of(reply) == "image_url: the image can't be fetched"


def _signed_in(web: Web) -> Any:
    web.client.post("/home/sign-in", data={"key": "of-another"})
    return web.client


def test_the_page_asks_shows_and_remembers(web: Web, answering: Answering) -> None:
    browser = _signed_in(web)
    assert browser.get("/home").status_code == 200
    page = browser.post("/home", data={"query": "cat?", "file": (BytesIO(PICTURE), "c.png")}).text
    assert "Yes, a cat" in page
    assert "93.0&nbsp;% probability of a cat; 25\u00a0% or more means yes" in page
    page = browser.post("/home", data={"query": "digit", "file": (BytesIO(PICTURE), "5.png")}).text
    assert "90.0&nbsp;%" in page
    assert [task.model for task in answering.tasks] == ["imagenet", "digits"]
    again = browser.get("/home/pictures").text
    assert again.count('class="card"') == 4, "form, answer, and two of before"
    listed: Any = web.client.get("/v1/inference").json
    digest = listed[0]["img_url"][9:73]
    browser.post("/home/pictures/delete", data={"digest": digest})
    assert browser.get("/home/pictures").text.count("<li") < again.count("<li")


def test_below_its_threshold_a_probable_dog_is_not_denied(web: Web, answering: Answering) -> None:
    answering.photo = {**_PHOTO, "answer": False, "positive": 0.6}
    sent = {"query": "dog?", "file": (BytesIO(PICTURE), "d.png")}
    page = _signed_in(web).post("/home", data=sent).text
    assert "Not recognised as a dog" in page
    assert "60.0&nbsp;% probability of a dog; 75\u00a0% or more means yes" in page


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"query": "digit"}, 400),
        ({"query": "cow?", "file": (BytesIO(PICTURE), "c.png")}, 404),
        ({"IMAGE_URL": "https://a.example/cat.jpg"}, 400),
    ],
)
def test_the_page_says_what_is_wrong(web: Web, data: dict[str, Any], status: int) -> None:
    reply = _signed_in(web).post("/home", data=data)
    assert reply.status_code == status
    assert 'role="alert"' in reply.text


def test_without_the_extra_the_page_says_what_to_install(
    make_web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.web.app.is_installed", lambda: False)
    web = make_web()
    refused = _classified(web, data=PICTURE, content_type="image/png")
    assert refused.status_code == 501
    assert "images" in reason_of(refused)
    browser = _signed_in(web)
    assert browser.get("/home").headers["Location"] == "/home/plates"
    assert "plate-scoring[images]" in browser.get("/home/pictures").text


def test_key_and_session_are_both_good(web: Web) -> None:
    assert web.client.get("/query").status_code == 401
    assert web.client.get("/query", headers=KEY_HEADER).status_code == 200
    assert _signed_in(web).get("/query").status_code == 200


def test_a_picture_in_base64_is_none(web: Web, answering: Answering) -> None:
    reply = _classified(web, json={"image": b64encode(PICTURE).decode()})
    assert reply.status_code == 400
    assert answering.tasks == []
