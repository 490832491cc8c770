"""The requests of a workload, and which replies are right."""

import csv
import json
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from loadgen.common import rows
from loadgen.common.errors import BadFile
from loadgen.common.pictures import read as read_pictures
from loadgen.load import pictures, replies, workload
from loadgen.load.workload import Golden, Mix, RequestSpec
from model.digits.drawing import Pen, drawn

ROOT = Path(__file__).parents[2]
ROWS = rows.read(ROOT / "loadgen/data/rows.csv")
GOLDEN = workload.read_golden()
OURS = GOLDEN[0].model
ALL_KINDS = Mix(single=90, array=5, bad=3, wrong_key=2, array_rows=7)


@pytest.fixture(scope="module")
def dealt() -> list[RequestSpec]:
    return workload.build_requests(ALL_KINDS, ROWS, GOLDEN, "the-key")


def test_kinds_come_by_weight_and_in_the_same_order_each_time(dealt: list[RequestSpec]) -> None:
    counts = Counter(spec.kind for spec in dealt)
    shares = {kind: counts[kind] / len(dealt) * 100 for kind in ALL_KINDS.weights()}
    assert shares == pytest.approx(ALL_KINDS.weights(), abs=1.5)
    assert dealt == workload.build_requests(ALL_KINDS, ROWS, GOLDEN, "the-key")


def test_only_a_wrong_key_is_wrong(dealt: list[RequestSpec]) -> None:
    keys = {(spec.kind == "wrong_key", spec.headers["x-api-key"] == "the-key") for spec in dealt}
    assert keys == {(True, False), (False, True)}
    assert {spec.status for spec in dealt if spec.kind == "wrong_key"} == {401}


def test_arrays_have_their_rows(dealt: list[RequestSpec]) -> None:
    asks = [spec for spec in dealt if spec.kind == "array"]
    arrays = [json.loads(spec.body) for spec in asks]
    assert {len(array) for array in arrays} == {7}
    # One of them is golden, at any place.
    requests = {golden.positive: golden.request for golden in GOLDEN}
    assert all(
        array[spec.at] == requests[spec.positive] for spec, array in zip(asks, arrays, strict=True)
    )
    assert {spec.at for spec in asks} == set(range(7))


def test_all_rows_of_the_file_and_all_golden_rows_are_sent(dealt: list[RequestSpec]) -> None:
    bodies = {spec.body for spec in dealt if spec.kind == "single"}
    assert set(rows.singles(ROWS)) <= bodies
    assert {spec.positive for spec in dealt if spec.model} == {one.positive for one in GOLDEN}


def test_the_golden_file_is_that_of_the_bundled_model() -> None:
    manifest = json.loads((ROOT / "model/regno/manifest.json").read_text(encoding="utf-8"))
    requests = (ROOT / "model/regno/golden.jsonl").read_text(encoding="utf-8").splitlines()
    assert [
        Golden(manifest["version"], positive, json.loads(line))
        for positive, line in zip(manifest["golden"], requests, strict=True)
    ] == GOLDEN


def test_without_golden_rows_there_is_still_a_deck(tmp_path: Path) -> None:
    assert workload.read_golden(tmp_path / "none.jsonl") == []
    assert not any(spec.model for spec in workload.build_requests(Mix(single=1), ROWS, [], "k"))


@pytest.mark.parametrize("text", ["{", '{"model": "a"}', "[]"])
def test_a_bad_golden_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text(text)
    with pytest.raises(BadFile, match=r"golden\.jsonl"):
        workload.read_golden(path)


def test_jobs_have_the_bodies_of_rows_and_files() -> None:
    mix = Mix(job=3, table=1, table_rows=150)
    specs = workload.build_requests(mix, ROWS, GOLDEN, "the-key")
    jobs = [json.loads(spec.body) for spec in specs if spec.kind == "job"]
    assert {spec.path for spec in specs if spec.kind == "job"} == {"/jobs"}
    assert {job["model"] for job in jobs} == {"regno"}
    assert all(row in [job["input"] for job in jobs] for row in ROWS)
    known = [(json.loads(s.body)["input"], s.positive) for s in specs if s.model]
    assert known
    assert all(
        (row, positive) in [(g.request, g.positive) for g in GOLDEN] for row, positive in known
    )
    tables = [spec for spec in specs if spec.kind == "table"]
    assert {(spec.status, spec.rows) for spec in tables} == {(202, 150)}
    assert {spec.headers["Content-Type"] for spec in tables} == {"text/csv"}
    files = [list(csv.DictReader(spec.body.decode().splitlines())) for spec in tables[:3]]
    assert [len(rows) for rows in files] == [150] * 3
    first = {name: str(ROWS[0][name]) for name in rows.FIELDS}
    assert files[0][0] == first


@pytest.mark.parametrize("others", [{"single": 1}, {"bad": 1}, {"array": 1}, {"wrong_key": 1}])
def test_jobs_do_not_mix_with_requests_of_another_server(others: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="other processes"):
        Mix(job=1, **others)


def test_pictures_have_their_files_and_answers() -> None:
    specs = pictures.build_requests(Mix(digit=3, query=1), read_pictures(), "the-key")
    digits = [spec for spec in specs if spec.kind == "digit"]
    assert len(digits) / len(specs) == pytest.approx(0.75, abs=0.03)
    assert {(spec.path, spec.status) for spec in digits} == {("/digits/classify", 201)}
    assert {spec.answer for spec in digits} == {f"[{digit}]" for digit in range(10)}
    for spec in digits[:10]:
        drawn_as = np.asarray(Image.open(BytesIO(spec.body)))
        digit = int(str(spec.answer).strip("[]"))
        assert (drawn_as == drawn(digit, Pen(1.6, gap=4.0))).all()
    queries = {(spec.path, spec.answer) for spec in specs if spec.kind == "query"}
    assert queries == {("/query?query=cat%3F", True), ("/query?query=cat%3F", False)}


@pytest.mark.parametrize("others", [{"single": 1}, {"job": 1}])
def test_pictures_do_not_mix_with_requests_of_another_server(others: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="other processes"):
        Mix(digit=1, **others)


@pytest.mark.parametrize("text", ["{", '{"kind": "digit"}', '"odd"'])
def test_a_bad_file_of_pictures_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pictures.jsonl"
    path.write_text(text)
    with pytest.raises(BadFile, match=r"pictures\.jsonl"):
        read_pictures(path)


# Replies

SINGLE = RequestSpec("single", b"{}", {})
PAIR = RequestSpec("array", b"[]", {}, rows=2)
KNOWN = RequestSpec("single", b"{}", {}, positive=0.25, model="m1")
BAD = RequestSpec("bad", b"", {}, status=400)
DIGIT = RequestSpec("digit", b"", {}, "/digits/classify", status=201, answer="[5]")
QUERY = RequestSpec("query", b"", {}, "/query?query=cat%3F", answer=True)
JOB = RequestSpec("job", b"{}", {}, "/jobs", status=202, positive=0.25, model="m1")


def score(positive: Any, negative: Any = None) -> dict[str, Any]:
    return {"negative": 1 - positive if negative is None else negative, "positive": positive}


@dataclass
class Case:
    spec: RequestSpec
    body: Any
    fault: str | None
    status: int = 200
    model: str | None = "m1"


@pytest.mark.parametrize(
    "case",
    [
        Case(SINGLE, score(0.3), None),
        Case(SINGLE, score(0.3, 0.6), "single: probabilities that do not add to 1"),
        Case(SINGLE, score(1.5), "single: probabilities that do not add to 1"),
        Case(SINGLE, {"positive": 1.0}, "single: a body of another form"),
        Case(SINGLE, [score(0.3)], "single: a body of another form"),
        Case(SINGLE, score(0.3), "single: status 503, not 200", status=503),
        Case(PAIR, [score(0.3), score(0.4)], None),
        Case(PAIR, [score(0.3)], "array: not all rows are scored"),
        Case(PAIR, [score(0.3), {"error": "no"}], "array: a body of another form"),
        Case(KNOWN, score(0.25), None),
        Case(KNOWN, score(0.2500001), "single: a golden row has another score"),
        Case(KNOWN, score(0.7), None, model="another model"),
    ],
)
def test_the_body_of_a_score_is_looked_at(case: Case) -> None:
    body = msgspec.json.encode({"body": case.body, "status": "ok"})
    assert replies.fault(case.spec, case.status, body, case.model) == case.fault


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (202, {"body": {"id": "01a"}, "status": "ok"}, None),
        (202, {"body": {"id": ""}, "status": "ok"}, "job: accepted without an id"),
        (202, {"body": {}, "status": "ok"}, "job: a body of another form"),
        (200, {"body": score(0.25), "status": "ok"}, "job: status 200, not 202"),
        (503, {"body": "away", "status": "fail"}, "job: status 503, not 202"),
    ],
)
def test_a_job_is_accepted_with_its_id(status: int, body: Any, fault: str | None) -> None:
    assert replies.fault(JOB, status, msgspec.json.encode(body), None) == fault


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (400, {"body": "camera_type: missing", "status": "fail"}, None),
        (400, {"body": "", "status": "fail"}, "bad: refused without a reason"),
        (400, {}, "bad: a body of another form"),
        (200, {"body": score(0.3), "status": "ok"}, "bad: status 200, not 400"),
        (500, {"body": "x", "status": "fail"}, "bad: status 500, not 400"),
    ],
)
def test_what_must_be_refused_is_refused_rightly(status: int, body: Any, fault: str | None) -> None:
    assert replies.fault(BAD, status, msgspec.json.encode(body), None) == fault


@pytest.mark.parametrize(
    ("spec", "status", "body", "fault"),
    [
        (DIGIT, 201, "[5]", None),
        (DIGIT, 201, "[6]", "digit: another answer"),
        (DIGIT, 201, ["5"], "digit: a body of another form"),
        (DIGIT, 503, {"body": "busy", "status": "fail"}, "digit: status 503, not 201"),
        (QUERY, 200, {"body": {"answer": True}, "status": "ok"}, None),
        (QUERY, 200, {"body": {"answer": False}, "status": "ok"}, "query: another answer"),
        (QUERY, 200, {"body": {}, "status": "ok"}, "query: a body of another form"),
    ],
)
def test_the_answer_to_a_picture_is_looked_at(
    spec: RequestSpec, status: int, body: Any, fault: str | None
) -> None:
    assert replies.fault(spec, status, msgspec.json.encode(body), None) == fault
