"""POST /reg/: one reading or many, what they may look like, and what comes back."""

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from model.regno import RegnoScorer
from model.regno.request import from_fields
from tests.support.messages import failure, mentions, states
from tests.support.parts import AppMaker
from tests.support.paths import GOLDEN, lines
from tests.support.server import KEY_HEADER
from tests.support.strategies import VALID

Body = dict[str, Any]
UNSEEN = {"camera_class": "Неведомая", "camera_type": "Летучая"}


def _post(
    client: FlaskClient, body: object, address: str = "/reg/", **headers: str
) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body)
    named = {**KEY_HEADER, **headers}
    return client.post(address, data=data, content_type="application/json", headers=named)


def _expected(scorer: RegnoScorer, request: Body) -> dict[str, float]:
    (score,) = scorer.score([from_fields(**request)])
    return {"negative": score.negative, "positive": score.positive}


def test_one_object_gives_one_score_in_full_precision(
    client: FlaskClient, scorer: RegnoScorer, request_body: Body
) -> None:
    reply = _post(client, request_body)
    assert reply.status_code == 200
    assert reply.json == {"body": _expected(scorer, request_body), "status": "ok"}
    assert list(reply.json["body"]) == ["negative", "positive"]


def test_an_array_gives_its_scores_in_order(client: FlaskClient, scorer: RegnoScorer) -> None:
    requests = [line["request"] for line in lines(GOLDEN)]
    reply = _post(client, requests)
    assert reply.json == {"body": [_expected(scorer, row) for row in requests], "status": "ok"}


def test_an_array_longer_than_a_slice_keeps_its_order_too(
    client: FlaskClient, scorer: RegnoScorer
) -> None:
    requests = [line["request"] for line in lines(GOLDEN)] * 3
    requests[300] = {}
    reply = _post(client, requests)
    assert reply.json
    assert reply.json["status"] == "partial"
    expected: list[Body] = [_expected(scorer, row) for row in requests[:300]]
    assert reply.json["body"][:300] == expected
    assert reply.json["body"][300] == {"error": "regno_recognize: is missing"}
    assert reply.json["body"][301:] == [*expected[1:], *expected]


def test_an_empty_array_gives_an_empty_list(client: FlaskClient) -> None:
    assert _post(client, []).json == {"body": [], "status": "ok"}


def test_a_bad_row_does_not_spoil_its_neighbours(
    client: FlaskClient, scorer: RegnoScorer, request_body: Body
) -> None:
    good = _expected(scorer, request_body)
    reply = _post(client, [request_body, {**request_body, "direction": 2}, request_body, None])
    assert reply.status_code == 200
    assert reply.json
    assert reply.json["status"] == "partial"
    before, direction, after, null = reply.json["body"]
    assert before == after == good
    assert direction.keys() == null.keys() == {"error"}
    assert states(direction["error"], "direction: ", "1")
    assert mentions(null["error"], "row", "object")


def test_an_array_of_nothing_but_bad_rows_is_partial(client: FlaskClient) -> None:
    reply = _post(client, [{}])
    assert reply.status_code == 200
    assert reply.json == {"body": [{"error": "regno_recognize: is missing"}], "status": "partial"}


def test_what_clients_in_the_field_send_gives_the_same_score(
    client: FlaskClient, request_body: Body
) -> None:
    plain = _post(client, request_body).json
    as_text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in request_body.items()}
    lists = ("afts_regno_ai_char_scores", "afts_regno_ai_length_scores")
    as_lists = {k: json.loads(v) if k in lists else v for k, v in request_body.items()}
    for body in (as_text, as_lists, json.dumps(request_body), json.dumps(as_text)):
        assert _post(client, body).json == plain


def test_the_address_works_without_its_slash_and_without_a_redirect(
    client: FlaskClient, request_body: Body
) -> None:
    reply = _post(client, request_body, "/reg")
    assert reply.status_code == 200
    assert reply.json == _post(client, request_body).json


@pytest.mark.parametrize("many", [False, True])
def test_a_score_has_its_stage_times(
    *, many: bool, client: FlaskClient, request_body: Body
) -> None:
    reply = _post(client, [request_body] if many else request_body)
    stages = dict(re.findall(r"(\w+);dur=(\d+\.\d+)", reply.headers["Server-Timing"]))
    assert {"decode", "features", "predict"} <= set(stages)
    assert all(0 < float(stages[stage]) < 10_000 for stage in ("decode", "features", "predict"))


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (b"", ("body", "not JSON")),
        (b"{", ("body", "not JSON")),
        (b"null", ("body", "object", "array of objects")),
        (b"{}", ("regno_recognize: ", "missing")),
        (VALID[:-1], ("body", "not JSON")),
        (b"\xef\xbb\xbf" * 2 + VALID, ("body", "not JSON")),
        (b"[" * 30_000 + b"]" * 30_000, ("body", "nested")),
        (b'{"a":' * 10_000, ("body", "nested")),
        (b"[" * 60_000, ("body", "not JSON")),
        (VALID[:-1] + b',"direction":1}', ("field", "twice")),
        (VALID.replace(b'"direction": 1', b'"direction": 1e999'), ("direction: ",)),
        (VALID.replace(b'"direction": 1', b'"direction": NaN'), ("direction: ", "finite number")),
        (VALID.replace("Передвижная".encode(), b"\\ud800"), ("body", "not JSON")),
    ],
)
def test_a_body_that_cannot_be_read_is_a_400_with_the_reason(
    body: bytes, facts: tuple[str, ...], client: FlaskClient
) -> None:
    reply = _post(client, body)
    assert reply.status_code == 400
    assert mentions(failure(reply), *facts)


_NO_UTF8 = [VALID.decode().encode(name) for name in ("utf-16", "utf-16-le", "cp1251")]


@pytest.mark.parametrize("path", ["/reg/", "/reg/explain"])
@pytest.mark.parametrize("body", [*_NO_UTF8, b"[" + _NO_UTF8[2] + b"]"])
def test_a_body_that_is_no_utf8_is_a_415_that_says_so(
    body: bytes, path: str, client: FlaskClient
) -> None:
    reply = _post(client, body, path)
    expected = {"body": "the body is not UTF-8", "status": "fail"}
    assert (reply.status_code, reply.json) == (415, expected)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_long_array_counts_as_one_in_any_encoding(encoding: str, client: FlaskClient) -> None:
    body = f"[{','.join([VALID.decode()] * 200)}]".encode(encoding)
    assert len(body) > 64 * 1024
    reply = _post(client, body)
    assert reply.status_code == (200 if encoding == "utf-8-sig" else 415)


@pytest.mark.parametrize("path", ["/reg/", "/reg/explain"])
def test_a_mark_of_utf8_before_the_body_is_passed_over(path: str, client: FlaskClient) -> None:
    marked, bare = _post(client, b"\xef\xbb\xbf" + VALID, path), _post(client, VALID, path)
    assert (marked.status_code, marked.json) == (200, bare.json)


def test_unseen_categories_are_scored_and_reported(
    client: FlaskClient, scorer: RegnoScorer, request_body: Body
) -> None:
    strange = {**request_body, **UNSEEN}
    reply = _post(client, strange)
    assert reply.json == {"body": _expected(scorer, strange), "status": "ok"}
    warnings = set(reply.headers["X-Score-Warnings"].split(", "))
    assert {f"unseen-category:{name}" for name in UNSEEN} <= warnings
    assert "Неведомая" not in str(reply.headers)


def test_warnings_of_an_array_are_reported_once(client: FlaskClient, request_body: Body) -> None:
    strange = {**_known(request_body), "camera_class": "Неведомая"}
    reply = _post(client, [strange, _known(request_body), strange])
    assert reply.headers["X-Score-Warnings"] == "unseen-category:camera_class"
    assert reply.json
    assert reply.json["status"] == "ok"


def _known(request: Body) -> Body:
    """The request with categories that the bundled model was trained on."""
    return {**request, "camera_class": "Стрелка", "camera_type": "Передвижная"}


def test_what_the_model_knows_has_no_warning(client: FlaskClient, request_body: Body) -> None:
    assert "X-Score-Warnings" not in _post(client, _known(request_body)).headers


def test_with_reject_an_unseen_category_is_a_400(make_app: AppMaker, request_body: Body) -> None:
    client = make_app(unseen="reject").test_client()
    for field, value in UNSEEN.items():
        reply = _post(client, {**_known(request_body), field: value})
        assert reply.status_code == 400
        assert states(failure(reply), f"{field}: ", "never saw")
    assert _post(client, _known(request_body)).status_code == 200


def test_with_reject_an_unseen_category_in_an_array_is_that_rows_error(
    make_app: AppMaker, scorer: RegnoScorer, request_body: Body
) -> None:
    client = make_app(unseen="reject").test_client()
    known = _known(request_body)
    good = _expected(scorer, known)
    reply = _post(client, [known, {**known, "camera_class": "Неведомая"}, {}, known])
    assert reply.json
    assert reply.json["status"] == "partial"
    before, unseen, empty, after = reply.json["body"]
    assert before == after == good
    assert unseen.keys() == empty.keys() == {"error"}
    assert states(unseen["error"], "camera_class: ", "never saw")
    assert states(empty["error"], "regno_recognize: ", "missing")


def test_with_reject_a_model_without_a_manifest_is_probed(
    make_app: AppMaker, customer_scorer: RegnoScorer, request_body: Body
) -> None:
    client = make_app(customer_scorer, unseen="reject").test_client()
    known = {**_known(request_body), "camera_class": "Астра-Трафик"}
    assert _post(client, known).status_code == 200
    assert _post(client, {**known, "camera_class": "астра-трафик"}).status_code == 400


class TestLimits:
    """One limit for a single request, one for an array, one for its rows."""

    @pytest.fixture
    def small(self, make_app: AppMaker) -> FlaskClient:
        return make_app(max_body=2048, max_array_body=8192, max_rows=5).test_client()

    @staticmethod
    def _padded(body: bytes, size: int) -> bytes:
        return body + b" " * (size - len(body))

    def test_a_single_request_may_be_as_long_as_its_limit(self, small: FlaskClient) -> None:
        assert _post(small, self._padded(VALID, 2048)).status_code == 200
        reply = _post(small, self._padded(VALID, 2049))
        assert reply.status_code == 413
        assert mentions(failure(reply), "2048 bytes")

    def test_an_array_may_be_as_long_as_its_own_limit(self, small: FlaskClient) -> None:
        array = b"[" + VALID + b"]"
        assert _post(small, self._padded(array, 8192)).status_code == 200
        reply = _post(small, self._padded(array, 8193))
        assert reply.status_code == 413
        assert mentions(failure(reply), "8192 bytes")

    def test_an_array_may_have_so_many_rows(self, small: FlaskClient) -> None:
        assert _post(small, [{}] * 5).status_code == 200
        reply = _post(small, [{}] * 6)
        assert reply.status_code == 413
        assert mentions(failure(reply), "at most 5 rows")

    def test_a_body_encoded_twice_is_measured_like_any_other(self, small: FlaskClient) -> None:
        text = json.dumps("[" + " " * 4000 + "]").encode()
        assert _post(small, text).status_code == 200
        assert _post(small, json.dumps("{" + " " * 4000 + "}").encode()).status_code == 413

    def test_the_default_takes_sixteen_megabytes_of_rows(self, client: FlaskClient) -> None:
        assert _post(client, self._padded(b"[]", 16 * 1024 * 1024)).status_code == 200
        assert _post(client, self._padded(b"[]", 16 * 1024 * 1024 + 1)).status_code == 413
        assert _post(client, self._padded(VALID, 5 * 1024 * 1024)).status_code == 413
