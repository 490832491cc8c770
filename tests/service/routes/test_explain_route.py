"""POST /reg/explain: what it replies, refuses and counts."""

import json
import re
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Final

import psutil
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from model import NotExplained
from model.regno import RegnoScorer
from service.overload.admission import BATCH, Overloaded
from service.scoring import explanations as module
from service.scoring.explanations import Explaining
from tests.support import toys
from tests.support.messages import failure, mentions, states
from tests.support.parts import AppMaker, parts_of
from tests.support.paths import GOLDEN, lines
from tests.support.server import KEY_HEADER, eventually
from tests.support.vacuous import nonempty

pytestmark = pytest.mark.usefixtures("no_explainer_is_left")

Body = dict[str, Any]
_ROWS: list[Body] = [line["request"] for line in lines(GOLDEN)]
# One that has no warning.
_USUAL: Final = _ROWS[4]
_TOKEN = "t0ken"


def _post(client: FlaskClient, body: object, path: str = "/reg/explain", **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    named = {**KEY_HEADER, **headers}
    return client.post(path, data=data, content_type="application/json", headers=named)


def _counted(client: FlaskClient, name: str) -> float:
    page = client.get("/metrics", headers={"Authorization": f"Bearer {_TOKEN}"}).text
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return float(value)


def test_one_row_is_explained_with_the_very_score_of_reg(
    client: FlaskClient, scorer: RegnoScorer
) -> None:
    for row in nonempty(_ROWS[:4]):
        score = _post(client, row, "/reg/").json["body"]
        reply = _post(client, row)
        assert reply.status_code == 200
        assert reply.json["status"] == "ok"
        explanation = reply.json["body"]
        assert {side: explanation[side] for side in score} == score
        total = explanation["base"] + sum(each["contribution"] for each in explanation["features"])
        assert total == pytest.approx(explanation["raw"], abs=1e-9)
        assert reply.headers["X-Model-Version"] == scorer.version


def test_an_array_is_explained_row_by_row_in_order(client: FlaskClient) -> None:
    rows = [_ROWS[0], {**_ROWS[1], "direction": 2}, _ROWS[2]]
    scores = _post(client, rows, "/reg/").json
    reply = _post(client, rows, "/reg/explain/").json
    assert reply["status"] == scores["status"] == "partial"
    for explanation, score in zip(reply["body"], scores["body"], strict=True):
        assert score.items() <= explanation.items()


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"{}", 400), ([_ROWS[0]] * 4, 413), ({**_ROWS[0], "direction": 2}, 400)],
)
def test_what_reg_refuses_is_refused_likewise(
    body: object, status: int, make_app: AppMaker
) -> None:
    client = make_app(explain_rows=3, max_rows=3).test_client()
    refused: TestResponse = _post(client, body)
    expected: TestResponse = _post(client, body, "/reg/")
    assert refused.status_code == status
    assert (refused.status_code, refused.json) == (expected.status_code, expected.json)


def test_an_empty_array_and_nothing_but_bad_rows_are_answered(client: FlaskClient) -> None:
    assert _post(client, []).json == {"body": [], "status": "ok"}
    assert _post(client, [{}]).json == {
        "body": [{"error": "regno_recognize: is missing"}],
        "status": "partial",
    }


def test_an_unseen_category_is_reported_or_refused_as_the_settings_say(make_app: AppMaker) -> None:
    row = {**_USUAL, "camera_class": "Неведомая"}
    reply = _post(make_app().test_client(), row)
    assert reply.headers["X-Score-Warnings"] == "unseen-category:camera_class"
    refused = _post(make_app(unseen="reject").test_client(), row)
    assert refused.status_code == 400
    assert states(failure(refused), "camera_class: ", "never saw")


def test_what_the_guards_put_right_is_explained_as_it_is_scored(make_app: AppMaker) -> None:
    odd = {**_USUAL, "camera_class": f" {str(_USUAL['camera_class']).upper()} "}
    app = make_app(guards="camera_class=normalise").test_client()
    explained, scored = _post(app, odd), _post(app, odd, "/reg/")
    assert explained.headers["X-Score-Warnings"] == "normalised:camera_class"
    assert explained.json["body"]["positive"] == scored.json["body"]["positive"]


@pytest.mark.parametrize("path", ["/reg/explain", "/reg/explain/"])
def test_a_key_is_required_and_other_methods_are_not_allowed(
    path: str, client: FlaskClient, key: dict[str, str]
) -> None:
    assert client.post(path, json=_ROWS[0]).status_code == 401
    assert client.get(path, headers=key).status_code == 405


def test_a_callers_own_patience_must_be_readable(client: FlaskClient) -> None:
    refused = _post(client, _ROWS[0], **{"X-Request-Timeout-Ms": "soon"})
    assert refused.status_code == 400


def test_requests_are_counted_and_their_rows_are_no_traffic_of_the_model(
    make_app: AppMaker,
) -> None:
    client = make_app(metrics_token=_TOKEN).test_client()
    assert _post(client, _ROWS[0]).status_code == 200
    labels = 'key="example",method="POST",route="/reg/explain",status="200"'
    assert _counted(client, f"scoring_http_requests_total{{{labels}}}") == 1
    assert _counted(client, 'scoring_rows_total{result="scored"}') == 0


def _assert_refused(refused: TestResponse) -> None:
    assert refused.status_code == 429
    assert mentions(failure(refused), "explanations", "scores")
    assert refused.headers["Retry-After"] in {"1", "2", "3"}


def test_it_is_rejected_and_counted_while_score_requests_wait(make_app: AppMaker) -> None:
    app = make_app(metrics_token=_TOKEN)
    client = app.test_client()
    parts = parts_of(app)
    parts.admission.waiting = BATCH + 1
    _assert_refused(_post(client, _ROWS[0]))
    parts.admission.waiting = 0
    parts.metrics.http.publish(0)
    assert _counted(client, 'scoring_requests_shed_total{reason="explain"}') == 1
    assert _post(client, _ROWS[0]).status_code == 200


def test_what_takes_longer_than_the_caller_waits_is_refused(client: FlaskClient) -> None:
    _assert_refused(_post(client, _ROWS[0], **{"X-Request-Timeout-Ms": "1"}))


class Slow(RegnoScorer):
    """Explains nothing until it may, and notes how many do so at once."""

    def __init__(self, scorer: RegnoScorer) -> None:
        super().__init__(scorer._model, scorer.manifest)
        self.at_once: list[int] = []
        self.running = 0
        self._may_end = Event()
        self._may_end.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Explanations that begin meanwhile end with it."""
        self._may_end.clear()
        try:
            yield
        finally:
            self._may_end.set()

    def explained(self, *_: Any) -> Any:
        self.running += 1
        self.at_once.append(self.running)
        time.sleep(0.01)
        self._may_end.wait()
        self.running -= 1
        return []


def test_one_is_worked_out_at_a_time(app: Flask, scorer: RegnoScorer) -> None:
    slow, explaining = Slow(scorer), Explaining(parts_of(app).admission)
    latest = time.monotonic() + 60
    with ThreadPoolExecutor(10) as threads:
        futures = [threads.submit(explaining.explained, slow, [()], latest) for _ in range(10)]
    assert [each.result() for each in futures] == [[]] * 10
    assert slow.at_once == [1] * 10


def test_an_explanation_that_would_wait_too_long_is_rejected(
    app: Flask, scorer: RegnoScorer
) -> None:
    slow, explaining = Slow(scorer), Explaining(parts_of(app).admission)
    now = time.monotonic()
    with ThreadPoolExecutor(1) as thread, slow.held():
        first = thread.submit(explaining.explained, slow, [()], now + 60)
        eventually(lambda: slow.running == 1, "the first is worked out")
        with pytest.raises(Overloaded, match="explanations give way"):
            explaining.explained(slow, [()], now)
    assert first.result() == []
    assert slow.at_once == [1]


def test_an_error_is_a_500_without_its_text(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise NotExplained("Х777УК799")

    monkeypatch.setattr(RegnoScorer, "explained", fail)
    reply = _post(client, _ROWS[0])
    assert reply.status_code == 500
    assert re.fullmatch(r"internal error, request [0-9a-f]{32}", reply.json["body"])


@pytest.mark.parametrize("body", [_ROWS[0], [_ROWS[0], {}], b"{", b"x" * 100_000])
def test_a_model_that_cant_be_explained_is_a_501_that_says_why(
    body: object, make_app: AppMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = toys.classifier(0, 1, grow_policy="Depthwise")
    client = make_app(RegnoScorer.load(toys.save(model, tmp_path))).test_client()
    before = set(psutil.Process().children())
    refused = _post(client, body)
    assert refused.status_code == 501
    assert mentions(failure(refused), "can't be explained", "contributions", "not symmetric")
    assert set(psutil.Process().children()) == before
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert _post(client, _ROWS[0], "/reg/").status_code == 200
    assert client.post("/reg/explain", json=_ROWS[0]).status_code == 401


def test_of_two_classes_explanations_have_the_very_score_of_reg(
    make_app: AppMaker, tmp_path: Path
) -> None:
    model = toys.classifier("a", "b", loss_function="MultiClass", class_names=["b", "a"])
    scorer = RegnoScorer.load(toys.save(model, tmp_path), "b")
    client = make_app(scorer).test_client()
    scores = _post(client, _ROWS[:4], "/reg/").json["body"]
    explained = _post(client, _ROWS[:4]).json["body"]
    assert [row["positive"] for row in explained] == [row["positive"] for row in scores]
    for row in explained:
        total = row["base"] + sum(each["contribution"] for each in row["features"])
        assert total == pytest.approx(row["raw"], abs=1e-9)


@contextmanager
def _limited(kind: int, soft: int) -> Iterator[None]:
    """Within, this process has less of something."""
    before, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (before, hard))


def _assert_unable(refused: TestResponse, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    assert refused.status_code == 503
    assert mentions(failure(refused), "explanation", "now")
    assert refused.headers["Retry-After"] in {"1", "2", "3"}
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert mentions(record.getMessage(), "explanation", reason)


def test_without_files_for_its_process_it_is_a_503(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.0)
    before = set(psutil.Process().children())
    assert _post(client, _ROWS[0]).status_code == 200
    eventually(lambda: not set(psutil.Process().children()) - before, "the process has ended")
    with _limited(resource.RLIMIT_NOFILE, 0):
        refused = _post(client, _ROWS[0])
    reason = "no process for it can be made: Too many open files"
    _assert_unable(refused, caplog, reason)
    assert _post(client, _ROWS[0]).status_code == 200


def test_without_memory_for_a_thread_its_process_ends_at_once(client: FlaskClient) -> None:
    """A thread would have ended it later."""
    before = set(psutil.Process().children())
    assert _post(client, _ROWS[0]).status_code == 200
    assert set(psutil.Process().children()) - before
    room = 1 << 28
    stack = threading.stack_size(2 * room)
    try:
        with _limited(resource.RLIMIT_AS, psutil.Process().memory_info().vms + room):
            assert _post(client, _ROWS[0]).status_code == 200
    finally:
        threading.stack_size(stack)
    assert not set(psutil.Process().children()) - before


def test_its_process_ends_when_idle(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.05)
    before = set(psutil.Process().children())
    assert _post(client, _ROWS[0]).status_code == 200
    assert set(psutil.Process().children()) - before
    eventually(lambda: not set(psutil.Process().children()) - before, "the process has ended")
