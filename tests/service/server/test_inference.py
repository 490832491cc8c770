"""The Open Inference Protocol, by the server's endpoint and by the Flask blueprint alike."""

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.regno import FIELDS
from service.routes.inference import LONGEST_BODY
from tests.support.both_ways import JSON, ComparedReply, by_flask, same
from tests.support.connections import Connect, connected
from tests.support.parts import Served, SiteMaker, publish
from tests.support.paths import GOLDEN, lines
from tests.support.server import KEY
from tests.support.strategies import requests
from tests.support.tensors import DATATYPES, in_bytes, inputs_of, outputs_of, request_input

pytestmark = pytest.mark.anyio

_INFER: Final = "/v2/models/regno/infer"
_KEY: Final = {"x-api-key": KEY}
_ROWS: Final = [line["request"] for line in lines(GOLDEN)]
_TEXTS: Final = [json.dumps(row) for row in _ROWS]
_EXAMPLES: Final = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


async def _infer(
    served: Served, inputs: Any, target: str = _INFER, **more: Any
) -> tuple[int, dict[str, Any]]:
    reply = await same(served, json.dumps({"inputs": inputs, **more}).encode(), target, _KEY)
    return reply.status, _json(reply)


def _json(reply: ComparedReply) -> dict[str, Any]:
    assert isinstance(reply.body, bytes)
    body: dict[str, Any] = json.loads(reply.body)
    return body


def _scores(served: Served, rows: list[dict[str, Any]], detail: str = "") -> list[dict[str, Any]]:
    """What POST /reg/ says."""
    reply = by_flask(served, json.dumps(rows).encode(), f"/reg/{detail}", JSON)
    scores: list[dict[str, Any]] = _json(reply)["body"]
    return scores


async def _refused(served: Served, inputs: Any, **more: Any) -> str:
    status, body = await _infer(served, inputs, **more)
    assert (status, list(body)) == (400, ["error"])
    return str(body["error"])


# What is scored.


@_EXAMPLES
@given(rows=st.lists(requests(), min_size=1, max_size=4), nested=st.booleans())
async def test_scores_are_those_of_reg_to_the_last_bit(
    served: Served, rows: list[dict[str, Any]], *, nested: bool
) -> None:
    inputs = inputs_of(rows, [len(rows), 1] if nested else ())
    if nested:
        inputs = [{**one, "data": [[element] for element in one["data"]]} for one in inputs]
    status, reply = await _infer(served, inputs)
    assert status == 200
    outputs = outputs_of(reply)
    for name in ("negative", "positive"):
        assert outputs[name] == [row[name] for row in _scores(served, rows)]


@_EXAMPLES
@given(rows=st.lists(requests(), min_size=1, max_size=4))
async def test_elements_as_bytes_give_the_same(served: Served, rows: list[dict[str, Any]]) -> None:
    body, header = in_bytes(inputs_of(rows), outputs=[{"name": "positive"}])
    reply = await same(served, body, _INFER, {**_KEY, **header})
    assert reply.status == 200
    assert outputs_of(_json(reply))["positive"] == [
        row["positive"] for row in _scores(served, rows)
    ]


@pytest.mark.parametrize("number", [1, 2, 600])
async def test_requests_in_json_are_scored_as_rows_are(served: Served, number: int) -> None:
    texts = (_TEXTS * 3)[:number]
    reply = await same(
        served,
        json.dumps({"inputs": [request_input(texts)], "outputs": [{"name": "positive"}]}).encode(),
        _INFER,
        _KEY,
    )
    if number == 600:
        assert reply.status == 413
        return
    scores = _scores(served, [json.loads(text) for text in texts])
    assert outputs_of(_json(reply)) == {"positive": [row["positive"] for row in scores]}


async def test_many_rows_are_scored_in_steps(served: Served) -> None:
    rows = [_ROWS[0]] * 250
    status, reply = await _infer(served, inputs_of(rows), outputs=[{"name": "positive"}])
    (score,) = _scores(served, rows[:1])
    assert status == 200
    assert outputs_of(reply) == {"positive": [score["positive"]] * 250}


async def test_without_a_choice_all_outputs_are_those_of_the_details(served: Served) -> None:
    rows = [{**_ROWS[0], "camera_class": "Неведомая"}, _ROWS[1]]
    status, reply = await _infer(served, inputs_of(rows))
    assert status == 200
    outputs = outputs_of(reply)
    assert list(outputs) == ["negative", "positive", "decision", "margin", "warnings", "model"]
    for number, detail in enumerate(_scores(served, rows, "?detail=1")):
        made = {name: elements[number] for name, elements in outputs.items()}
        assert {**made, "warnings": json.loads(made["warnings"])} == detail


async def test_outputs_come_in_the_wanted_order_and_the_id_comes_back(served: Served) -> None:
    wanted = [{"name": "positive"}, {"name": "negative"}]
    status, reply = await _infer(served, inputs_of(_ROWS[:1]), outputs=wanted, id="42")
    version = served.parts.slot.current.version
    assert status == 200
    assert (reply["id"], reply["model_name"], reply["model_version"]) == ("42", "regno", version)
    assert [(one["name"], one["datatype"], one["shape"]) for one in reply["outputs"]] == [
        ("positive", "FP64", [1]),
        ("negative", "FP64", [1]),
    ]
    assert "id" not in (await _infer(served, inputs_of(_ROWS[:1])))[1]


async def test_a_version_that_is_live_may_be_named_and_no_other(served: Served) -> None:
    version = served.parts.slot.current.version
    named = "/v2/models/regno/versions/%s/infer"
    status, reply = await _infer(served, inputs_of(_ROWS[:1]), named % version)
    assert (status, reply["model_version"]) == (200, version)
    for target in (named % "other", "/v2/models/other/infer", "/v2/models/regno/inferences"):
        status, reply = await _infer(served, inputs_of(_ROWS[:1]), target)
        assert (status, list(reply)) == (404, ["error"])


async def test_rows_are_counted_as_those_of_reg_are(make_site: SiteMaker) -> None:
    served = make_site(metrics_token="token")
    async with connected(served.site) as client:
        body = json.dumps({"inputs": inputs_of(_ROWS[:3])}).encode()
        head = f"POST {_INFER} HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\n"
        await client.ask(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        bad = json.dumps({"inputs": inputs_of(_ROWS[:3])[1:]}).encode()
        await client.ask(f"{head}Content-Length: {len(bad)}\r\n\r\n".encode() + bad)
    publish(served.parts)
    page = served.app.flask.test_client().get("/metrics", headers={"Authorization": "Bearer token"})
    labels = f'key="example",method="POST",route="{_INFER}",status="%s"'
    for line in (
        'scoring_rows_total{result="scored"} 3.0',
        'scoring_rows_refused_total{field="regno_recognize",reason="missing"} 1.0',
        f"scoring_http_requests_total{{{labels % 200}}} 1.0",
        f"scoring_http_requests_total{{{labels % 400}}} 1.0",
    ):
        assert line in page.text


# What is refused.

_OTHERS: Final = ("FP32", "FP64", "INT32", "INT64", "BOOL", "BYTES", "fp64", "")
_OF_OTHER_TYPES: Final[dict[str, list[Any]]] = {
    "BYTES": [1, 1.5, True, None, {"a": 1}],
    "FP64": ["0.5", True, None, {}],
    "INT64": ["1", 0.5, False, None, 2**64],
}


@_EXAMPLES
@given(field=st.sampled_from(FIELDS), data=st.data())
async def test_another_datatype_is_refused_by_the_inputs_name(
    served: Served, field: str, data: st.DataObject
) -> None:
    wanted = DATATYPES.get(field, "BYTES")
    other = data.draw(st.sampled_from([one for one in _OTHERS if one != wanted]))
    inputs = inputs_of(_ROWS[:2])
    inputs[FIELDS.index(field)]["datatype"] = other
    reason = await _refused(served, inputs)
    assert reason.startswith(f"{field}: ")
    assert wanted in reason


@_EXAMPLES
@given(
    field=st.sampled_from(FIELDS),
    shape=st.one_of(
        st.lists(st.integers(-3, 3), max_size=4).filter(lambda shape: shape not in ([2], [2, 1])),
        st.sampled_from([[2**63], [-(2**63)], [10_001], [1, 2]]),
    ),
)
async def test_another_shape_is_refused_by_the_inputs_name(
    served: Served, field: str, shape: list[int]
) -> None:
    inputs = inputs_of(_ROWS[:2])
    inputs[FIELDS.index(field)]["shape"] = shape
    assert (await _refused(served, inputs)).startswith(f"{field}: ")


@_EXAMPLES
@given(field=st.sampled_from(FIELDS), at=st.integers(0, 2), data=st.data())
async def test_an_element_of_another_type_is_refused_by_input_and_place(
    served: Served, field: str, at: int, data: st.DataObject
) -> None:
    kind = DATATYPES.get(field, "BYTES")
    inputs = inputs_of(_ROWS[:3])
    inputs[FIELDS.index(field)]["data"][at] = data.draw(st.sampled_from(_OF_OTHER_TYPES[kind]))
    assert (await _refused(served, inputs)).startswith(f"{field}: data[{at}] ")


@_EXAMPLES
@given(cut=st.integers(1, 40), field=st.sampled_from(FIELDS))
async def test_bytes_of_another_length_are_refused(served: Served, cut: int, field: str) -> None:
    inputs = inputs_of(_ROWS[:2])
    inputs = [one for one in inputs if one["name"] != field] + [
        one for one in inputs if one["name"] == field
    ]
    body, header = in_bytes(inputs)
    short = body[:-cut] if cut < 16 else body + b"\0" * cut
    reply = await same(served, short, _INFER, {**_KEY, **header})
    assert reply.status == 400
    assert list(_json(reply)) == ["error"]


@pytest.mark.parametrize(
    ("inputs", "facts"),
    [
        ([], ("inputs",)),
        (inputs_of(_ROWS[:1])[1:], ("regno_recognize", "missing")),
        ([*inputs_of(_ROWS[:1]), inputs_of(_ROWS[:1])[3]], ("afts_regno_ai_score", "twice")),
        ([*inputs_of(_ROWS[:2])[:-1], inputs_of(_ROWS[:1])[-1]], ("direction", "1", "2")),
        ([{**inputs_of(_ROWS[:1])[0], "name": "А123ВС77"}], ("inputs[0]", "regno_recognize")),
        ([request_input([_TEXTS[0], "{}, {}"])], ("request", "data[1]", "object")),
        ([request_input(["[]"])], ("request", "data[0]", "object")),
        ([request_input([_TEXTS[0], "{}"])], ("row 1", "regno_recognize", "missing")),
        ([request_input(["{}"])], ("regno_recognize", "missing")),
        (inputs_of([{**_ROWS[0], "direction": 7}]), ("direction", "1")),
        (inputs_of([_ROWS[0], {**_ROWS[0], "time_check": "x"}]), ("row 1", "time_check")),
        ([{"name": "request"}], ("inputs[0]", "shape")),
        ([{**request_input(_TEXTS[:1]), "shape": ["1"]}], ("inputs[0].shape[0]",)),
        ([{**request_input([]), "shape": [0]}], ("request", "shape")),
        ([{"name": "request", "shape": [1], "datatype": "BYTES"}], ("request", "data")),
    ],
)
async def test_a_wrong_request_is_a_clear_400(
    served: Served, inputs: Any, facts: tuple[str, ...]
) -> None:
    reason = await _refused(served, inputs)
    assert all(fact in reason for fact in facts), reason
    assert "А123ВС77" not in reason


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        ({"outputs": [{"name": "А123ВС77"}]}, ("outputs[0]", "positive")),
        ({"outputs": [{"name": "positive"}] * 2}, ("positive", "twice")),
        (
            {"outputs": [{"name": "positive", "parameters": {"classification": 2}}]},
            ("positive", "classes"),
        ),
        ({"parameters": {"timeout": "1"}}, ("parameters.timeout",)),
        ({"parameters": []}, ("parameters",)),
        ({"id": 42}, ("id",)),
    ],
)
async def test_a_wrong_option_is_a_clear_400(
    served: Served, more: dict[str, Any], facts: tuple[str, ...]
) -> None:
    reason = await _refused(served, inputs_of(_ROWS[:1]), **more)
    assert all(fact in reason for fact in facts), reason
    assert "А123ВС77" not in reason


@pytest.mark.parametrize("stated", ["x", "-1", "1e3", "9" * 20, "1000000"])
async def test_a_wrong_length_of_the_json_is_a_clear_400(served: Served, stated: str) -> None:
    body = json.dumps({"inputs": inputs_of(_ROWS[:1])}).encode()
    named = {**_KEY, "Inference-Header-Content-Length": stated}
    reply = await same(served, body, _INFER, named)
    assert reply.status == 400
    assert "Inference-Header-Content-Length" in _json(reply)["error"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_a_number_that_is_not_finite_is_refused(served: Served, value: float) -> None:
    inputs = inputs_of(_ROWS[:1])
    inputs[FIELDS.index("recognition_accuracy")]["data"] = [value]
    body, header = in_bytes(inputs)
    reply = await same(served, body, _INFER, {**_KEY, **header})
    assert reply.status == 400
    assert _json(reply)["error"].startswith("recognition_accuracy: data[0] ")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"x-api-key": "wrong"}, 401),
        ({**_KEY, "Content-Encoding": "gzip"}, 415),
        ({**_KEY, "X-Request-Timeout-Ms": "x"}, 400),
    ],
)
async def test_refusals_are_in_the_protocols_form(
    served: Served, headers: dict[str, str], status: int
) -> None:
    body = json.dumps({"inputs": inputs_of(_ROWS[:1])}).encode()
    reply = await same(served, body, _INFER, headers)
    assert (reply.status, list(_json(reply))) == (status, ["error"])
    assert list(_json(await same(served, b" " * (LONGEST_BODY + 1), _INFER, _KEY))) == ["error"]


async def test_a_time_that_is_over_is_refused_with_429(
    make_site: SiteMaker, connect: Connect
) -> None:
    served = make_site()
    served.parts.admission.waiting = 128 + 10_000
    client = await connect(served)
    body = json.dumps({"inputs": inputs_of(_ROWS[:1])}).encode()
    head = f"POST {_INFER} HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\nContent-Length: {len(body)}"
    status, headers, text = await client.ask(f"{head}\r\n\r\n".encode() + body)
    assert (status, list(json.loads(text))) == (429, ["error"])
    assert "retry-after" in {name.lower() for name, _ in headers}


# What else there is.


def _get(served: Served, path: str, **headers: str) -> tuple[int, Any]:
    reply = served.app.flask.test_client().get(path, headers=headers)
    return reply.status_code, reply.json


async def test_metadata_describe_what_infer_takes(served: Served) -> None:
    version = served.parts.slot.current.version
    status, server = _get(served, "/v2", **_KEY)
    assert (status, server["extensions"]) == (200, ["binary_tensor_data"])
    status, model = _get(served, "/v2/models/regno", **_KEY)
    assert (status, model["name"], model["versions"]) == (200, "regno", [version])
    assert [one["name"] for one in model["inputs"]] == list(FIELDS)
    assert {one["name"]: one["datatype"] for one in model["inputs"]} == {
        field: DATATYPES.get(field, "BYTES") for field in FIELDS
    }
    assert all(one["shape"] == [-1] for one in (*model["inputs"], *model["outputs"]))
    assert _get(served, f"/v2/models/regno/versions/{version}", **_KEY) == (200, model)


async def test_the_index_has_all_models(served: Served) -> None:
    reply = served.app.flask.test_client().post("/v2/repository/index", headers=_KEY)
    version = served.parts.slot.current.version
    known = {"name": "regno", "version": version, "state": "READY", "reason": ""}
    assert (reply.status_code, reply.json) == (200, [known])


async def test_who_may_ask_what(served: Served) -> None:
    assert _get(served, "/v2/health/live") == (200, {"live": True})
    assert _get(served, "/v2/health/ready") == (200, {"ready": True})
    assert _get(served, "/v2/models/regno/ready", **_KEY) == (
        200,
        {"name": "regno", "ready": True},
    )
    for path in ("/v2", "/v2/models/regno", "/v2/models/regno/ready"):
        status, body = _get(served, path)
        assert (status, list(body)) == (401, ["error"])
    for path in ("/v2/models/none", "/v2/models/regno/versions/none/ready", "/v2/none"):
        status, body = _get(served, path, **_KEY)
        assert (status, list(body)) == (404, ["error"])


async def test_readiness_is_that_of_readyz(served: Served) -> None:
    served.parts.scoreboard.begin_stop()
    assert _get(served, "/v2/health/ready") == (503, {"ready": False})
    assert _get(served, "/v2/models/regno/ready", **_KEY)[0] == 503
    assert _get(served, "/v2/health/live") == (200, {"live": True})


async def test_probes_are_answered_past_flask(served: Served, connect: Connect) -> None:
    client = await connect(served)
    for path, body in (("live", {"live": True}), ("ready", {"ready": True})):
        reply = await client.ask(f"GET /v2/health/{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert (reply.status, json.loads(reply.body)) == (200, body)
