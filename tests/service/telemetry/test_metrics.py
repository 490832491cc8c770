"""What /metrics shows of requests, rows and the model, of one process."""

import errno
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from model.regno import RegnoScorer
from model.regno.request import from_fields
from service.runtime import run_folder
from service.telemetry.metrics import multiprocess
from service.telemetry.metrics.http import BUCKETS
from service.telemetry.metrics.predictions import BOUNDS
from service.telemetry.record import STAGES
from tests.support import parts
from tests.support.messages import failure, mentions, states
from tests.support.metrics import TOKEN, page, publish, values
from tests.support.parts import AppMaker
from tests.support.paths import ROOT
from tests.support.server import METRICS_TOKEN

KEY = {"x-api-key": "123321"}
_PLATES = ("regno_recognize", "afts_regno_ai")
_LISTS = ("afts_regno_ai_char_scores", "afts_regno_ai_length_scores")
_CATEGORIES = ("camera_type", "camera_class", "regno_template", "regno_template_ai")
_WARNINGS = {
    "unseen-category": _CATEGORIES,
    "lookalike-letters": _PLATES,
    "out-of-range": (*_PLATES, *_LISTS),
    "length-mismatch": _LISTS,
    "implausible-time": ("time_check",),
    "readings-agree": ("",),
    "normalised": ("camera_type", "camera_class", *_PLATES),
}


@pytest.fixture
def client(make_app: AppMaker) -> FlaskClient:
    return make_app(metrics_token=METRICS_TOKEN).test_client()


def send(client: FlaskClient, body: Any) -> int:
    return client.post("/reg/", json=body, headers=KEY).status_code


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"direction": None}, "type", "direction"),
        ({"direction": 7}, "range", "direction"),
        ({"recognition_accuracy": 1e999}, "range", "recognition_accuracy"),
        ({"camera_type": "x" * 1001}, "length", "camera_type"),
        ({"time_check": "yesterday"}, "unreadable", "time_check"),
    ],
)
def test_a_refused_row_is_counted_by_reason_and_field(
    client: FlaskClient,
    request_body: dict[str, Any],
    change: dict[str, Any],
    reason: str,
    field: str,
) -> None:
    assert send(client, request_body | change) == 400
    assert send(client, [request_body, request_body | change]) == 200
    labels = f'field="{field}",reason="{reason}"'
    assert values(client, "scoring_rows_refused_total") == {labels: 2.0}
    assert values(client, "scoring_rows_total") == {'result="refused"': 2.0, 'result="scored"': 1.0}


def test_a_missing_field_and_no_json_are_distinguished(
    client: FlaskClient, request_body: dict[str, Any]
) -> None:
    del request_body["direction"]
    assert send(client, request_body) == 400
    reply = client.post("/reg/", data=b"{", headers=KEY, content_type="application/json")
    assert reply.status_code == 400
    assert values(client, "scoring_rows_refused_total") == {
        'field="direction",reason="missing"': 1.0,
        'field="",reason="unreadable"': 1.0,
    }


def test_an_unknown_field_of_a_client_is_no_label(
    client: FlaskClient, request_body: dict[str, Any]
) -> None:
    text = '{"А001АА77": 1, "А001АА77": 2}'
    client.post("/reg/", data=text.encode(), headers=KEY, content_type="application/json")
    send(client, {**request_body, "А001АА77": 1})
    assert "А001АА77" not in page(client)


def test_an_array_that_is_too_long_counts_once(
    make_app: AppMaker, request_body: dict[str, Any]
) -> None:
    client = make_app(metrics_token=METRICS_TOKEN, max_rows=2).test_client()
    assert send(client, [request_body] * 3) == 413
    assert values(client, "scoring_rows_refused_total") == {'field="",reason="count"': 1.0}


def test_a_rejected_unseen_category_counts_as_refused_and_as_unseen(
    make_app: AppMaker, request_body: dict[str, Any]
) -> None:
    client = make_app(metrics_token=METRICS_TOKEN, unseen="reject").test_client()
    strange = {**request_body, "camera_class": "Неведомая"}
    assert send(client, strange) == 400
    assert send(client, [strange, request_body]) == 200
    assert values(client, "scoring_rows_refused_total") == {
        'field="camera_class",reason="unseen"': 2.0
    }
    assert values(client, "scoring_unseen_categories_total") == {'feature="camera_class"': 2.0}
    assert (
        values(client, "scoring_warnings_total")['field="camera_class",kind="unseen-category"']
        == 2.0
    )


@pytest.mark.parametrize("rows", [1, 7, 500])
def test_every_score_is_counted_by_value_decision_and_class(
    client: FlaskClient, scorer: RegnoScorer, request_body: dict[str, Any], rows: int
) -> None:
    (score,) = scorer.score([from_fields(**request_body)])
    positive = score.positive
    assert positive > 0.7
    camera_class = request_body["camera_class"]
    assert send(client, request_body if rows == 1 else [request_body] * rows) == 200
    assert values(client, "scoring_positive_count") == {"": rows}
    assert values(client, "scoring_positive_sum") == {"": pytest.approx(positive * rows)}
    buckets = values(client, "scoring_positive_bucket")
    assert set(buckets) == {f'le="{b}"' for b in BOUNDS if positive <= b} | {'le="+Inf"'}
    assert set(buckets.values()) == {rows}
    assert values(client, "scoring_decisions_total") == {
        f'camera_class="{camera_class}",decision="network"': rows
    }
    assert values(client, "scoring_rows_total") == {'result="scored"': rows}
    assert sum(values(client, "scoring_drift_rows_total").values()) == rows * 39
    correct = values(client, "scoring_expected_correct_rows_total")
    assert correct[f'bin="{camera_class}",variable="camera_class"'] == pytest.approx(
        positive * rows
    )


def test_classes_that_the_model_never_saw_share_one_label(
    client: FlaskClient, request_body: dict[str, Any]
) -> None:
    for number in range(3):
        send(client, {**request_body, "camera_class": f"Новая-{number}"})
    (labels,) = values(client, "scoring_decisions_total")
    assert 'camera_class="other"' in labels


def test_lookalike_letters_are_counted_but_not_those_of_a_format(
    client: FlaskClient, request_body: dict[str, Any]
) -> None:
    latin = {**request_body, "regno_recognize": "A939HO196", "afts_regno_ai": "001CD178"}
    send(client, latin)
    send(client, [latin, request_body])
    assert values(client, "scoring_lookalike_readings_total") == {'field="regno_recognize"': 2.0}


def test_stages_add_up_to_less_than_the_request(
    client: FlaskClient, request_body: dict[str, Any]
) -> None:
    for _ in range(5):
        send(client, request_body)
    assert values(client, "scoring_scored_requests_total") == {"": 5.0}
    stages = values(client, "scoring_stage_seconds_total")
    # None waits for others: that is the server's own way, see server/test_reg_both_ways.py.
    assert set(stages) == {f'stage="{stage}"' for stage in STAGES if stage != "wait"}
    durations = values(client, "scoring_http_request_duration_seconds_sum")
    whole = durations['method="POST",route="/reg",status="200"']
    assert 0 < sum(stages.values()) < whole


def test_requests_in_flight_are_those_that_the_server_counts(client: FlaskClient) -> None:
    for in_flight in (3, 0):
        publish(client, in_flight)
        text = client.get("/metrics", headers=TOKEN).text
        assert f"scoring_http_requests_in_flight {in_flight}.0\n" in text


def test_everything_is_there_at_0_before_it_happens(client: FlaskClient) -> None:
    text = page(client)
    for sample in (
        'scoring_http_requests_total{key="example",method="POST",route="/reg",status="500"}',
        'scoring_rows_total{result="failed"}',
        'scoring_rows_refused_total{field="",reason="unreadable"}',
        'scoring_decisions_total{camera_class="other",decision="manual"}',
        *(
            f'scoring_warnings_total{{field="{field}",kind="{kind}"}}'
            for kind, fields in _WARNINGS.items()
            for field in fields
        ),
        'scoring_unseen_categories_total{feature="camera_class"}',
        'scoring_lookalike_readings_total{field="afts_regno_ai"}',
        'scoring_model_loads_total{result="refused"}',
        'scoring_error_reports_total{result="dropped"}',
        'scoring_drift_rows_total{bin="other",variable="camera_class"}',
        'scoring_http_request_duration_seconds_bucket{le="0.05",method="POST",route="/reg",status="500"}',
    ):
        assert f"{sample} 0.0\n" in text, sample


def test_the_page_is_counted_as_what_it_is(client: FlaskClient) -> None:
    page(client)
    assert values(client, "scoring_http_requests_total") == {
        'key="",method="GET",route="/metrics",status="200"': 1.0
    }


def test_each_latency_target_is_a_bound_of_the_histogram() -> None:
    slo = tomllib.loads((ROOT / "monitoring/slo.toml").read_text())
    assert slo["objective"]["latency_seconds"] in BUCKETS
    assert slo["load_test"]["p99_ms"] / 1e3 in BUCKETS


_ROWS = 4


@pytest.mark.parametrize(
    ("costs", "decision"),
    [
        ({}, "network"),
        ({"manual": 0.01}, "manual"),
        ({"network_wrong": 20.0}, "manual"),
        ({"network_wrong": 100.0, "manual": 90.0}, "camera"),
    ],
)
def test_decisions_are_those_of_the_details(
    costs: dict[str, float], decision: str, make_app: AppMaker, request_body: dict[str, Any]
) -> None:
    named = {f"cost_{name}": cost for name, cost in costs.items()}
    client = make_app(metrics_token=METRICS_TOKEN, **named).test_client()
    reply = client.post("/reg/?detail=1", json=[request_body] * _ROWS, headers=KEY)
    assert reply.json
    assert [row["decision"] for row in reply.json["body"]] == [decision] * _ROWS
    (labels,) = values(client, "scoring_decisions_total")
    assert f'decision="{decision}"' in labels
    assert set(values(client, "scoring_decisions_total").values()) == {_ROWS}


def test_the_thresholds_in_force_are_shown(make_app: AppMaker) -> None:
    for costs, camera, network in (
        ({}, 0.3, 0.7),
        ({"cost_manual": 0.45}, 0.45, 0.55),
        ({"cost_network_wrong": 3.0, "cost_manual": 5.0}, 0.75, 0.75),
    ):
        client = make_app(metrics_token=METRICS_TOKEN, **costs).test_client()
        assert values(client, "scoring_decision_threshold_ratio") == {
            'decision="camera"': pytest.approx(camera),
            'decision="network"': pytest.approx(network),
        }


def test_without_a_place_to_read_them_no_requests_are_counted(
    make_app: AppMaker, request_body: dict[str, Any]
) -> None:
    client = make_app(metrics_kept=False).test_client()
    send(client, request_body)
    registry = parts.parts_of(client.application).metrics.registry
    publish(client)
    for name in ("scoring_rows_total", "scoring_scored_requests_total", "scoring_positive_count"):
        assert not registry.get_sample_value(name, {"result": "scored"} if "rows" in name else {})


def test_the_page_can_not_be_filtered_and_says_so(client: FlaskClient) -> None:
    reply = client.get("/metrics?name[]=scoring_rows_total", headers=TOKEN)
    assert reply.status_code == 400
    assert states(failure(reply), "name[]: ", "filtered")


_OPEN = "application/openmetrics-text"
_OPENMETRICS = f"{_OPEN}; version=1.0.0; charset=utf-8"
_PLAIN = "text/plain; version=0.0.4; charset=utf-8"
# What Prometheus sends: 2.42, and 3 with its escaping.
_PROMETHEUS_2 = (
    f"{_OPEN};version=1.0.0,{_OPEN};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
_PROMETHEUS_3 = (
    f"{_OPEN};version=1.0.0;escaping=allow-utf-8;q=0.6,{_OPEN};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        ("", _PLAIN),
        ("*/*", _PLAIN),
        ("text/*", _PLAIN),
        ("text/plain", _PLAIN),
        ("application/json", _PLAIN),
        (_OPEN, _OPENMETRICS),
        (f"{_OPEN};version=1.0.0", _OPENMETRICS),
        (f'{_OPEN} ; version="1.0.0"', _OPENMETRICS),
        (f"{_OPEN};version=1.0.0".upper(), _OPENMETRICS),
        (f"{_OPEN},*/*", _OPENMETRICS),
        (f"text/plain,{_OPEN}", _OPENMETRICS),
        (_PROMETHEUS_2, _OPENMETRICS),
        (_PROMETHEUS_3, _OPENMETRICS),
        (f"{_OPEN};q=0", _PLAIN),
        (f"{_OPEN};q=0,text/plain", _PLAIN),
        (f"{_OPEN};q=0.1,text/plain;q=0.5", _PLAIN),
        (f"{_OPEN};q=0.1,*/*;q=0.5", _PLAIN),
        (f"{_OPEN};q=0.5,text/plain;q=0.1", _OPENMETRICS),
        # Versions that are not written here, and such as are none.
        (f"{_OPEN};version=0.0.1", _PLAIN),
        (f"{_OPEN};version=2.0.0", _PLAIN),
        (f"{_OPEN};version=2.0.0,{_OPEN};version=1.0.0;q=0.5", _OPENMETRICS),
        (f"{_OPEN};version=x", _PLAIN),
        (f"{_OPEN};version=1.x", _PLAIN),
        (f"{_OPEN};version=", _OPENMETRICS),
        (f"{_OPEN};q=x", _PLAIN),
        ("text/plain;version=x", _PLAIN),
        ('\xff;=,;;"', _PLAIN),
    ],
)
def test_the_format_is_the_one_that_is_accepted_best(
    client: FlaskClient, accepted: str, kind: str
) -> None:
    reply = client.get("/metrics", headers={**TOKEN, "Accept": accepted})
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, kind)
    parse = {_OPENMETRICS: openmetrics, _PLAIN: plain}[kind]
    assert {family.name for family in parse(reply.text)} >= {"scoring_rows", "scoring_positive"}


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30))
def test_any_accept_header_gets_a_page(client: FlaskClient, text: str) -> None:
    for accepted in (text, f"{_OPEN};version={text}", f"{_OPEN};q={text}", f"text/plain;{text}"):
        reply = client.get("/metrics", headers={**TOKEN, "Accept": accepted})
        assert reply.status_code == 200
        assert reply.headers["Content-Type"] in {_OPENMETRICS, _PLAIN}


def test_differences_have_neither_sum_nor_count_in_either_format(
    client: FlaskClient, scorer: RegnoScorer
) -> None:
    shadow = parts.parts_of(client.application).metrics.shadow
    shadow.compared(scorer.groups[:2], [0.5, 0.5], [0.25, 0.625])
    for accepted in (_OPEN, "text/plain"):
        text = client.get("/metrics", headers={**TOKEN, "Accept": accepted}).text
        assert "scoring_shadow_difference_sum" not in text
        assert "scoring_shadow_difference_count" not in text
        assert 'scoring_shadow_difference_bucket{le="+Inf"} 2.0\n' in text
        assert 'scoring_shadow_difference_bucket{le="-0.1"} 1.0\n' in text
        assert "\nscoring_positive_sum 0.0\n" in text


def test_a_wrong_method_is_counted_at_its_address(client: FlaskClient) -> None:
    assert client.get("/reg/", headers=KEY).status_code == 405
    assert values(client, "scoring_http_requests_total") == {
        'key="",method="GET",route="/reg",status="405"': 1.0
    }


@pytest.mark.parametrize("rows", [3, 1000])
def test_the_rows_of_a_call_are_counted_for_arrays_too(
    client: FlaskClient, request_body: dict[str, Any], rows: int
) -> None:
    send(client, [request_body] * rows)
    assert values(client, "scoring_batch_rows_sum") == {"": rows}
    assert values(client, "scoring_batch_rows_count") == {"": 1.0}


def test_the_files_of_all_places_are_complete_before_a_merge_can_begin(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "gauge_livemax_1.db"
    kept.write_bytes(b"what its former worker counted")
    multiprocess.allocate(2, tmp_path)
    made = {path.name: path for path in tmp_path.iterdir()}
    assert made.keys() == {f"{kind}_{place}.db" for kind in multiprocess.BYTES for place in (0, 1)}
    assert made.pop(kept.name).read_bytes() == b"what its former worker counted"
    for path in made.values():
        assert list(MmapedDict.read_all_values_from_file(path)) == []  # type: ignore[no-untyped-call]
        assert path.stat().st_blocks * 512 >= path.stat().st_size >= 1 << 16


def test_a_start_computes_the_space_it_takes() -> None:
    assert sum(multiprocess.BYTES.values()) == run_folder.PROCESS_BYTES


def test_the_counts_and_files_of_an_ended_worker_stay(tmp_path: Path) -> None:
    for name in ("counter_1", "gauge_livemax_1", "gauge_livemax_11", "gauge_mostrecent_1"):
        values: Any = multiprocess.AllocatedDict(str(tmp_path / f"{name}.db"))
        values.write_value("key", 1.0, 0.0)
        values.close()
    multiprocess.clear_live_gauges(1, tmp_path)
    left = {path.stem: _values_of(path) for path in tmp_path.iterdir()}
    assert left == {
        "counter_1": {"key": 1.0},
        "gauge_livemax_1": {},
        "gauge_livemax_11": {"key": 1.0},
        "gauge_mostrecent_1": {"key": 1.0},
    }
    assert (tmp_path / "gauge_livemax_1.db").stat().st_blocks * 512 == 1 << 17


def _values_of(path: Path) -> dict[str, float]:
    samples = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
    return {key: value for key, value, _, _ in samples}


def test_values_grow_beyond_their_file_whatever_their_length(tmp_path: Path) -> None:
    path = tmp_path / "gauge_livesum_0.db"
    values: Any = multiprocess.AllocatedDict(str(path))
    keys = [f"{number}{'я' * (number % 97)}" for number in range(1500)] + ["x" * 300_000]
    for number, key in enumerate(keys):
        values.write_value(key, float(number), 0.0)
        assert path.stat().st_blocks * 512 >= path.stat().st_size
    values.close()
    assert _values_of(path) == {key: float(number) for number, key in enumerate(keys)}
    again: Any = multiprocess.AllocatedDict(str(path))
    assert again.read_value(keys[-1])[0] == len(keys) - 1
    again.close()


def test_values_without_space_are_missing_until_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gauge_livesum_0.db"
    values: Any = multiprocess.AllocatedDict(str(path))
    known = {f"{number:100}": float(number) for number in range(500)}
    for key, value in known.items():
        values.write_value(key, value, 0.0)
    allocate = os.posix_fallocate

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    many = {f"{number:101}": 1.0 + number for number in range(100)}
    for key in many:
        assert values.read_value(key) == (0.0, 0.0)
    for key, value in many.items():
        values.write_value(key, value, 0.0)
    shown = _values_of(path)
    assert known.items() <= shown.items()
    assert 0 < len(many.keys() & shown.keys()) < 50
    (record,) = caplog.records
    assert mentions(record.getMessage(), "missing", f"{path}: ", "No space left on device")
    values.write_value(next(iter(known)), 7.0, 0.0)
    monkeypatch.setattr(os, "posix_fallocate", allocate)
    values.write_value("one more" * 20, 8.0, 0.0)
    for key, value in many.items():
        values.write_value(key, value + 0.5, 0.0)
    more = {**{key: value + 0.5 for key, value in many.items()}, next(iter(known)): 7.0}
    assert _values_of(path) == {**known, **more, "one more" * 20: 8.0}
    values.close()
