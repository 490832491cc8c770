"""The edge passes /jobs on to the web processes, if it has their addresses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.edge.config import PICTURE_INFERENCE_BODY
from service.web.routes.inference import LONGEST_BODY
from tests.support.echo import Echo, echoing
from tests.support.edge import Edge, assert_refused_by_edge, before, edge_before
from tests.support.server import KEY_HEADER

pytestmark = pytest.mark.slow

_PATHS = ("/jobs", "/jobs?limit=1", "/jobs/01abc", "/jobs/01abc?wait=5", "/jobs/01abc/result")


@pytest.fixture
def web() -> Iterator[Echo]:
    """An upstream in the place of the web processes."""
    with echoing() as echo:
        yield echo


@pytest.fixture
def with_web(echo: Echo, web: Echo, tmp_path: Path) -> Iterator[Edge]:
    """An edge before an upstream of each kind. Jobs may be longer than requests for scores."""
    limits = {"web_max_body": str(1 << 20), "max_body": str(1 << 18)}
    settings = {"web_upstreams": before(web.port), **limits}
    with edge_before(tmp_path / "edge", echo.port, **settings) as edge:
        yield edge


@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_jobs_go_to_the_web_processes(
    method: str, path: str, with_web: Edge, web: Echo, echo: Echo
) -> None:
    assert with_web.ask(method, path).status == 200
    (received,) = web.received
    assert (received.method, received.path) == (method, path)
    assert received.headers["x-api-key"] == KEY_HEADER["x-api-key"]
    assert echo.received == []


@pytest.mark.parametrize("path", ["", "/ready", "/infer", "/versions/v1", "/versions/v1/infer"])
def test_inferences_of_pictures_go_to_the_web_processes_and_those_of_plates_do_not(
    path: str, with_web: Edge, web: Echo, echo: Echo
) -> None:
    method = "POST" if path.endswith("infer") else "GET"
    assert with_web.ask(method, f"/v2/models/digits{path}").status == 200
    assert with_web.ask(method, f"/v2/models/regno{path}").status == 200
    assert [one.path for one in web.received] == [f"/v2/models/digits{path}"]
    assert [one.path for one in echo.received] == [f"/v2/models/regno{path}"]


def test_the_index_of_all_models_is_at_the_web_processes(
    with_web: Edge, web: Echo, echo: Echo
) -> None:
    index = "/v2/repository/index"
    assert with_web.ask("POST", index).status == 200
    assert with_web.ask("POST", index, headers={}).status == 401
    assert with_web.ask("POST", index, b" " * 2000).status == 413
    assert [(one.method, one.path) for one in web.received] == [("POST", index)]
    assert echo.received == []


def test_a_picture_may_be_as_long_as_the_web_processes_take_it(with_web: Edge, web: Echo) -> None:
    assert PICTURE_INFERENCE_BODY == LONGEST_BODY
    for size, status in ((LONGEST_BODY, 200), (LONGEST_BODY + 1, 413)):
        reply = with_web.ask("POST", "/v2/models/cat/infer", b" " * size, KEY_HEADER)
        assert reply.status == status
    assert len(web.received) == 1


def test_what_belongs_to_a_submission_passes(with_web: Edge, web: Echo) -> None:
    named = {"Idempotency-Key": "k", "Prefer": "wait=3", "X-Request-Timeout-Ms": "900"}
    with_web.ask("POST", "/jobs", b"{}", {**KEY_HEADER, **named})
    for name, value in named.items():
        assert web.last[name] == value
    assert web.received[0].body == b"{}"


def test_without_their_addresses_there_are_no_jobs(bare: Edge, echo: Echo) -> None:
    for path in _PATHS:
        assert bare.ask("GET", path).status == 404
    assert echo.received == []


@pytest.mark.parametrize("path", ["/jobs/", "/jobsx", "/jobs/a/b", "/jobs/a/result/x", "/docs/x"])
def test_other_addresses_do_not_reach_them(path: str, with_web: Edge, web: Echo) -> None:
    with_web.ask("GET", path)
    assert web.received == []


def test_without_a_key_nothing_passes(with_web: Edge, web: Echo) -> None:
    assert with_web.ask("POST", "/jobs", b"{}", {}).status == 401
    assert web.received == []


def test_a_long_upload_passes_once_its_key_is_known(with_web: Edge, web: Echo, echo: Echo) -> None:
    body = b"x" * 900_000
    assert with_web.ask("POST", "/jobs", body).status == 200
    assert [received.body for received in web.received] == [body]
    assert [received.path for received in echo.received] == ["/"]
    echo.answer = lambda _: (401, {}, b"")
    assert with_web.ask("POST", "/jobs", body).status == 401
    assert len(web.received) == 1


def test_an_upload_over_the_limit_is_refused_with_it(with_web: Edge, web: Echo) -> None:
    refused = with_web.ask("POST", "/jobs", b"x" * ((1 << 20) + 1))
    assert_refused_by_edge(refused, 413, f"{1 << 20} bytes")
    assert web.received == []


def test_a_submission_that_breaks_off_is_not_sent_twice(with_web: Edge, web: Echo) -> None:
    web.answer = lambda _: None
    assert with_web.ask("POST", "/jobs", b"{}").status == 502
    assert len(web.received) == 1


@pytest.mark.parametrize(
    "path",
    [
        *("/home", "/home/plates", "/home/tables/0/result", "/static/x.js", "/query"),
        *("/v1/inference", "/review", "/feedback", "/decisions", "/decisions/x?row=1"),
        *("/decisions/x/proof", "/decisions/x/evidence"),
    ],
)
def test_pages_are_passed_on_without_a_key(path: str, with_web: Edge, web: Echo) -> None:
    cookie = {"Cookie": "session=x", "Sec-Fetch-Site": "none"}
    assert with_web.ask("POST", path, b"a=1", cookie).status == 200
    assert (web.last["cookie"], web.last["sec-fetch-site"]) == ("session=x", "none")


@pytest.mark.parametrize(
    "path", ["/homes", "/static", "/static/a/b", "/review/x", "/decisions/x/y"]
)
def test_no_more_than_the_pages_is(path: str, with_web: Edge, web: Echo) -> None:
    assert with_web.ask("GET", path, headers={}).status == 404
    assert web.received == []
