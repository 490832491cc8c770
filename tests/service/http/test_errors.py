"""Errors become replies in the envelope, which reveal nothing internal."""

import logging
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from flask import Flask
from werkzeug.exceptions import BadRequest, Gone, ImATeapot, MethodNotAllowed, NotFound

from model import InvalidRequest, ModelRefused, NoDecoder, ScoringError, TooManyRows
from model.regno import RegnoScorer, Row, Score
from service.http.errors import Refused
from tests.support.messages import failure, mentions
from tests.support.parts import AppMaker, parts_of

PLATE = "Х777ХХ799"

_UNEXPECTED: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError(PLATE),
    "key": lambda: KeyError(PLATE),
    "runtime": lambda: RuntimeError(f"while scoring {PLATE}"),
    "recursion": lambda: RecursionError(PLATE),
    "memory": lambda: MemoryError(PLATE),
    "os": lambda: OSError(5, PLATE),
    "unicode": lambda: UnicodeDecodeError("utf-8", PLATE.encode(), 0, 1, PLATE),
    "assertion": lambda: AssertionError(PLATE),
    "stop": lambda: StopIteration(PLATE),
    "refused": lambda: ModelRefused(PLATE),
    "scoring": lambda: ScoringError(PLATE),
    "group": lambda: ExceptionGroup(PLATE, [ValueError(PLATE)]),
}


@pytest.fixture
def throw_away(app: Flask) -> Flask:
    """The app with one more route for each exception."""

    def add(name: str, make: Callable[[], BaseException]) -> None:
        def view() -> NoReturn:
            raise make() from LookupError(PLATE)

        app.add_url_rule(f"/raise/{name}", f"raise_{name}", view)

    for name, make in _UNEXPECTED.items():
        add(name, make)
    add("invalid", lambda: InvalidRequest("direction", "is missing"))
    add("rows", lambda: TooManyRows(3))
    add("own", lambda: Refused(415, "not so", {"X-Reported": "yes"}))
    add("decoder", lambda: NoDecoder(PLATE))
    add("http", lambda: BadRequest(PLATE))
    add("teapot", lambda: ImATeapot(PLATE))
    add("gone", lambda: Gone(PLATE))
    add("missing", lambda: NotFound(PLATE))
    add("method", lambda: MethodNotAllowed(["PUT"], PLATE))
    return app


@pytest.mark.parametrize("name", _UNEXPECTED)
def test_the_unexpected_is_a_500_with_a_fixed_text_and_the_request_id(
    name: str, throw_away: Flask
) -> None:
    reply = throw_away.test_client().get(f"/raise/{name}")
    assert reply.status_code == 500
    request_id = reply.headers["X-Request-Id"]
    assert reply.json == {"body": f"internal error, request {request_id}", "status": "fail"}
    assert PLATE not in reply.get_data(as_text=True)
    assert PLATE not in "".join(reply.headers.values())


@pytest.mark.parametrize("name", _UNEXPECTED)
def test_the_log_has_the_type_and_place_of_an_unexpected_error_and_not_its_text(
    name: str,
    throw_away: Flask,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        reply = throw_away.test_client().get(f"/raise/{name}")
    written = "".join(capfd.readouterr())
    assert PLATE not in caplog.text + written
    assert type(_UNEXPECTED[name]()).__name__ in caplog.text
    assert f"request {reply.headers['X-Request-Id']} at " in caplog.text
    assert "test_errors.py" in caplog.text


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("invalid", 400, "direction: is missing"),
        ("rows", 413, "an array may hold at most 3 rows"),
        ("own", 415, "not so"),
        ("http", 400, "bad request"),
        ("teapot", 418, "i'm a teapot"),
        ("gone", 410, "gone"),
        ("missing", 404, "there is nothing at this address"),
        ("method", 405, "this method is not allowed at this address"),
    ],
)
def test_an_expected_error_has_its_status_and_body(
    name: str, status: int, body: str, throw_away: Flask
) -> None:
    reply = throw_away.test_client().get(f"/raise/{name}")
    assert reply.status_code == status
    assert reply.json == {"body": body, "status": "fail"}
    assert reply.content_type == "application/json"


def test_the_headers_of_an_error_come_along(throw_away: Flask) -> None:
    client = throw_away.test_client()
    assert client.get("/raise/own").headers["X-Reported"] == "yes"
    assert client.get("/raise/method").headers["Allow"] == "PUT"


class BrokenScorer(RegnoScorer):
    """Predicts nothing but trouble, once it is warm."""

    warmed = False

    def warm(self) -> None:
        super().warm()
        self.warmed = True

    def predict(self, rows: Any) -> list[Score]:
        if self.warmed:
            raise RuntimeError(f"can't predict {PLATE}")
        return super().predict(rows)

    def row(self, reading: Any) -> Row:
        return super().row(reading)


@pytest.mark.parametrize("many", [False, True])
def test_a_model_that_breaks_while_it_serves_is_a_500_and_the_next_request_is_answered(
    *,
    many: bool,
    make_app: AppMaker,
    request_body: dict[str, Any],
    key: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = make_app(BrokenScorer.load()).test_client()
    for _ in range(2):
        body = [request_body] if many else request_body
        reply = client.post("/reg/", json=body, headers=key)
        assert reply.status_code == 500
        assert str(reply.json["body"] if reply.json else "").startswith("internal error, request ")
    assert client.get("/", headers=key).status_code == 200
    assert PLATE not in caplog.text
    assert request_body["regno_recognize"] not in caplog.text


def test_not_ready_is_a_503_until_the_model_is_warm(app: Flask) -> None:
    slot = parts_of(app).slot
    slot.warm = False
    client = app.test_client()
    assert client.get("/readyz").status_code == 503
    assert mentions(failure(client.get("/readyz")), "not warm")
    assert client.get("/healthz").status_code == 200
    slot.warm_up()
    assert client.get("/readyz").status_code == 200


def test_a_picture_that_can_t_be_decoded_now_may_be_sent_again(throw_away: Flask) -> None:
    reply = throw_away.test_client().get("/raise/decoder")
    assert reply.status_code == 503
    assert int(reply.headers["Retry-After"]) in range(1, 4)
    assert PLATE not in reply.text
