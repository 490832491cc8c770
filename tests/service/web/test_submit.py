"""POST /jobs: what is taken, what is refused, and that nothing of a refused request stays."""

import json
import tracemalloc
from codecs import BOM_UTF8
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from service.jobs.states import State
from tests.support.web import OTHER_HEADER, Web, body_of, reason_of
from tests.support.web import READING as VALID
from tests.support.webhooks import SECRET, silent

_JSON = "application/json"
_CSV = b"regno_recognize,afts_regno_ai\na,b\n"


def test_a_job_is_taken_and_its_address_given(web: Web) -> None:
    reply = web.submit(VALID)
    assert reply.status_code == 202
    shown = body_of(reply)
    assert reply.headers["Location"] == f"/jobs/{shown['id']}"
    assert int(reply.headers["Retry-After"]) >= 1
    assert (shown["model"], shown["kind"], shown["state"]) == ("regno", "score", "queued")
    assert (shown["started"], shown["finished"], shown["attempts"]) == (None, None, 0)
    assert shown["progress"] == {"done": 0, "total": 0}


def test_the_record_has_what_a_worker_needs_and_no_plate(web: Web) -> None:
    reply = web.call(
        "POST",
        "/jobs?detail=1",
        {"X-Request-Timeout-Ms": "60000", "X-Request-Id": "mine"},
        data=json.dumps({"model": "regno", "input": VALID}, ensure_ascii=False).encode(),
        content_type=_JSON,
    )
    job = web.job(reply)
    assert (job.owner, job.kind, job.model, job.media_type) == ("example", "score", "regno", _JSON)
    assert (job.parameters, job.request_id) == ({"detail": "1"}, "mine")
    assert 0 < job.deadline - time() <= 60
    assert json.loads(web.stores.blobs.read(job.input)) == VALID
    assert VALID["regno_recognize"] not in repr(job)


@pytest.mark.parametrize("rows", [1, 3])
def test_an_input_is_kept_as_it_came(rows: int, web: Web) -> None:
    given = json.dumps([VALID] * rows, ensure_ascii=False, indent=2).encode()
    reply = web.call(
        "POST", "/jobs", data=b'{"input": %b, "model": "regno"}' % given, content_type=_JSON
    )
    assert web.stores.blobs.read(web.job(reply).input) == given


_BAD_INPUTS: list[tuple[object, int, str]] = [
    ({**VALID, "direction": "north"}, 400, "direction: "),
    ({key: VALID[key] for key in VALID if key != "camera_type"}, 400, "camera_type: "),
    (17, 400, "the body must be an object or an array"),
    ("[", 400, "the body is not JSON"),
    ({**VALID, "camera_type": "x" * 70_000}, 413, "the body is longer than"),
]


@pytest.mark.parametrize(("given", "status", "reason"), _BAD_INPUTS)
def test_a_bad_input_is_refused_at_once_by_its_field(
    given: object, status: int, reason: str, web: Web
) -> None:
    reply = web.submit(given)
    assert reply.status_code == status
    assert reason_of(reply).startswith(reason)
    assert web.blobs == []
    assert body_of(web.call("GET", "/jobs"))["jobs"] == []


def test_a_bad_row_of_an_array_is_for_the_result_to_say(web: Web) -> None:
    assert web.submit([VALID, {}]).status_code == 202


def test_an_array_may_have_more_rows_than_a_synchronous_one(make_web: Callable[..., Web]) -> None:
    assert make_web(max_rows=2).submit([VALID] * 3).status_code == 202


@pytest.mark.parametrize("query", ["model=other", "sep=x", "format=x", "detail=2", "webhook=a/b"])
def test_arguments_are_checked_with_json_too(query: str, web: Web) -> None:
    body = json.dumps({"model": "regno", "input": VALID}).encode()
    reply = web.call("POST", f"/jobs?{query}", data=body, content_type=_JSON)
    assert (reply.status_code, reason_of(reply)[:3]) == (400, query[:3])
    assert web.blobs == []


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "the body is not JSON"),
        (b"{", 400, "the body is not JSON"),
        (b"[1]", 400, "the body must be an object"),
        (b'{"model": "regno"}', 400, "input: is missing"),
        (b'{"input": {}}', 400, "model: is missing"),
        (b'{"model": 1, "input": {}}', 400, "model: must be a string"),
        (b'{"model": "A939HO196", "input": {}}', 400, "model: must be one of regno"),
        (b'{"model": "regno", "input": [], "x": 1}', 400, "only these fields are known: "),
        (b'{"model": "regno", "input": [], "webhook": "a/b"}', 400, "webhook: "),
        (b'{"model": "regno", "input": [], "webhook": "mine"}', 400, "webhook: "),
        ('{"model": "regno", "input": "я"}'.encode("cp1251"), 415, "the body is not UTF-8"),
        ('{"model": "regno", "input": []}'.encode("utf-16"), 415, "the body is not UTF-8"),
        (b'{"model": "regno", "input": %b}' % (b"[" * 5000), 400, "the body is not JSON"),
    ],
)
def test_a_body_that_is_no_submission_is_refused(
    body: bytes, status: int, reason: str, web: Web
) -> None:
    reply = web.call("POST", "/jobs", data=body, content_type=_JSON)
    assert (reply.status_code, reason_of(reply)[: len(reason)]) == (status, reason)
    assert web.blobs == []


@pytest.mark.parametrize("kind", ["", "text/html", "image/png", "application/json;charset=cp1251"])
def test_other_kinds_of_bodies_are_refused(kind: str, web: Web) -> None:
    reply = web.call("POST", "/jobs?model=regno", data=b"{}", content_type=kind)
    assert reply.status_code == 415
    assert web.blobs == []


def test_a_compressed_body_is_refused(web: Web) -> None:
    reply = web.call("POST", "/jobs", {"Content-Encoding": "gzip"}, data=b"{}", content_type=_JSON)
    assert reply.status_code == 415


_KINDS = [
    "text/csv",
    "text/tab-separated-values",
    "application/jsonl",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/gzip",
    "application/octet-stream",
]


@pytest.mark.parametrize("kind", _KINDS)
def test_a_file_may_be_the_body(kind: str, web: Web) -> None:
    reply = web.upload(_CSV, kind, "model=regno&filename=night.csv&detail=1")
    assert reply.status_code == 202
    job = web.job(reply)
    assert (job.kind, job.media_type) == ("table", kind)
    assert job.parameters == {"filename": "night.csv", "detail": "1"}
    assert web.stores.blobs.read(job.input) == _CSV


def test_a_file_may_come_as_a_form(web: Web) -> None:
    reply = web.form(_CSV, "night.csv", model="regno", detail="1")
    assert reply.status_code == 202, reply.text
    job = web.job(reply)
    assert (job.kind, job.media_type) == ("table", "text/csv")
    assert job.parameters == {"filename": "night.csv", "detail": "1"}
    assert web.stores.blobs.read(job.input) == _CSV


def test_the_charset_of_a_text_is_noted(web: Web) -> None:
    job = web.job(web.upload(_CSV, "text/csv; charset=cp1251"))
    assert (job.media_type, job.parameters) == ("text/csv", {"encoding": "cp1251"})
    refused = web.upload(_CSV, "text/csv; charset=none-such")
    assert (refused.status_code, reason_of(refused)) == (400, "encoding: is not known")


def test_a_caller_may_say_how_a_file_is_written_and_how_its_result_is_to_be(web: Web) -> None:
    said = {"sep": ";", "decimal": ",", "encoding": "cp866", "format": "jsonl"}
    query = "&".join(f"{name}={value}" for name, value in said.items())
    assert web.job(web.upload(_CSV, "text/csv", f"model=regno&{query}")).parameters == said
    formed = web.form(_CSV, "a.csv", model="regno", **said)
    assert web.job(formed).parameters == {**said, "filename": "a.csv"}


@pytest.mark.parametrize(
    "bad",
    [
        *("sep=x", "decimal=x", "encoding=x", "encoding=hex", "encoding=a%00b", "format=doc"),
        *("detail=x", "sep=", "decimal=", "encoding=", "format=", "dates=", "sheet=", "detail="),
    ],
)
def test_what_is_said_of_a_file_is_checked(bad: str, web: Web) -> None:
    name = bad.partition("=")[0]
    refused = web.upload(_CSV, "text/csv", f"model=regno&{bad}")
    assert (refused.status_code, reason_of(refused).partition(":")[0]) == (400, name)
    in_a_form = web.form(_CSV, "a.csv", model="regno", **{name: unquote(bad.partition("=")[2])})
    assert (in_a_form.status_code, reason_of(in_a_form).partition(":")[0]) == (400, name)
    beside = web.form(_CSV, "a.csv", f"?{bad}", model="regno", sep=";", dates="dmy")
    assert (beside.status_code, reason_of(beside).partition(":")[0]) == (400, name)
    assert web.blobs == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\tables\\night.csv", "night.csv"),
        ("А939НО196.csv", "[plate].csv"),
        ('a"b\r\nc.csv', "abc.csv"),
        ("n" * 300 + ".csv", "n" * 116 + ".csv"),
    ],
)
def test_a_files_name_is_a_plain_one_without_a_plate(name: str, kept: str, web: Web) -> None:
    reply = web.call(
        "POST",
        "/jobs",
        query_string={"model": "regno", "filename": name},
        data=_CSV,
        content_type="text/csv",
    )
    assert web.job(reply).parameters["filename"] == kept


def test_a_form_without_a_file_or_with_two_is_refused(web: Web) -> None:
    reply = web.call("POST", "/jobs", data={"model": "regno"}, content_type="multipart/form-data")
    assert (reply.status_code, reason_of(reply)) == (400, "file: is missing")
    parts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nz\r\n'
        for _ in range(2)
    )
    twice = web.call(
        "POST",
        "/jobs?model=regno",
        data=parts + b"--x--\r\n",
        content_type="multipart/form-data; boundary=x",
    )
    assert (twice.status_code, reason_of(twice)) == (400, "file: exactly one file is required")
    assert web.blobs == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"--x\r\nno form", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data"),
        (b"--x\r\n" * 50, "multipart/form-data; boundary=x"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(body: bytes, kind: str, web: Web) -> None:
    reply = web.call("POST", "/jobs?model=regno", data=body, content_type=kind)
    assert reply.status_code == 400
    assert web.blobs == []


@pytest.mark.parametrize("kind", ["text/csv", _JSON, "multipart/form-data; boundary=x"])
def test_an_input_over_the_limit_is_refused(kind: str, make_web: Callable[..., Web]) -> None:
    web = make_web(job_max_mb=1)
    long = b"x" * (2 << 20)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head + long + b"\r\n--x--\r\n" if kind.startswith("multipart") else long
    reply = web.call("POST", "/jobs?model=regno", data=body, content_type=kind)
    assert reply.status_code == 413
    assert web.blobs == []


def test_an_empty_file_is_refused(web: Web) -> None:
    assert web.upload(b"", "text/csv").status_code == 400
    assert web.form(b"", "a.csv", model="regno").status_code == 400
    assert web.blobs == []


def test_a_field_of_a_form_that_is_not_known_is_refused_by_its_name(web: Web) -> None:
    reply = web.form(_CSV, "a.csv", model="regno", colour="red")
    assert reply.status_code == 400
    assert reason_of(reply).startswith("colour: is not known here; known: ")
    assert web.blobs == []


@pytest.mark.parametrize("query", ["", "model=", "model=none", "model=regno&detail=2"])
def test_a_file_without_a_known_model_or_with_a_bad_argument_is_refused(
    query: str, web: Web
) -> None:
    assert web.upload(_CSV, "text/csv", query).status_code == 400
    assert web.blobs == []


def test_a_redis_that_says_nothing_is_asked_once(make_web: Callable[..., Web]) -> None:
    """A refusal takes the time of one question, half a second."""
    with silent() as redis:
        records = redis.url.replace("http:", "redis:").replace("/hook", "/0")
        web = make_web(records=records, broker="amqp://127.0.0.1:1//")
        assert web.submit(VALID).status_code == 503
        assert redis.connections == 1
        assert web.blobs == []


# Long bodies, which stay in a file while they are checked.

_LONG = json.dumps({"model": "regno", "input": [VALID] * 4000}, ensure_ascii=False).encode()


def _peak(web: Web, body: bytes) -> int:
    """The most memory that Python has while it takes a body, beside the body itself."""
    tracemalloc.start()
    try:
        assert web.call("POST", "/jobs", data=body, content_type=_JSON).status_code == 202
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_longer_body_costs_the_memory_of_its_input_once(web: Web) -> None:
    longer = json.dumps({"model": "regno", "input": [VALID] * 12_000}, ensure_ascii=False).encode()
    more = _peak(web, longer) - _peak(web, _LONG)
    assert more < 1.3 * (len(longer) - len(_LONG))


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (_LONG.decode().encode("cp1251"), 415, "the body is not UTF-8"),
        (_LONG.decode().encode("utf-16"), 415, "the body is not UTF-8"),
        (_LONG[:-1], 400, "the body is not JSON"),
        (_LONG.replace(b'"model": "regno"', b'"model": 1'), 400, "model: must be a string"),
    ],
)
def test_a_long_body_is_refused_for_the_same_reasons(
    body: bytes, status: int, reason: str, web: Web
) -> None:
    reply = web.call("POST", "/jobs", data=body, content_type=_JSON)
    assert (reply.status_code, reason_of(reply)[: len(reason)]) == (status, reason)
    assert web.blobs == []


def test_a_long_body_may_begin_with_a_byte_order_mark(web: Web) -> None:
    reply = web.call("POST", "/jobs", data=BOM_UTF8 + _LONG, content_type=_JSON)
    assert reply.status_code == 202


# Idempotency keys.


@pytest.mark.parametrize("given", [[], [1, " [ , ] "], [VALID] * 500, json.dumps([VALID])])
def test_blanks_between_tokens_make_no_other_request(given: Any, web: Web) -> None:
    """However many pieces the input is looked at in: the fingerprint is that of the whole."""
    for indent, replayed in ((None, None), (1, "true"), (5, "true")):
        body = json.dumps({"model": "regno", "input": given}, indent=indent).encode()
        reply = web.call("POST", "/jobs", {"Idempotency-Key": "k"}, data=body, content_type=_JSON)
        assert (reply.status_code, reply.headers.get("Idempotency-Replayed")) == (202, replayed)
    stored = web.stores.blobs.read(web.job(reply).input)
    plain = msgspec.json.format(stored, indent=-1)
    named = msgspec.json.encode(("score", "regno", {}, ""), order="sorted")
    assert web.job(reply).fingerprint == sha256(named + sha256(plain).digest()).hexdigest()


def test_the_same_request_with_the_same_key_is_one_job(web: Web) -> None:
    first = web.submit(VALID, {"Idempotency-Key": "k"})
    spaced = json.dumps({"input": VALID, "model": "regno"}, indent=3).encode()
    again = web.call("POST", "/jobs", {"Idempotency-Key": "k"}, data=spaced, content_type=_JSON)
    assert (first.status_code, again.status_code) == (202, 202)
    assert body_of(first)["id"] == body_of(again)["id"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(web.blobs) == 1


@pytest.mark.parametrize(
    ("given", "query"),
    [({**VALID, "camera_type": "другая"}, ""), (VALID, "?detail=1"), ([VALID], "")],
)
def test_the_same_key_for_another_request_is_refused(given: Any, query: str, web: Web) -> None:
    web.submit(VALID, {"Idempotency-Key": "k"})
    body = json.dumps({"model": "regno", "input": given}).encode()
    reply = web.call(
        "POST", f"/jobs{query}", {"Idempotency-Key": "k"}, data=body, content_type=_JSON
    )
    assert reply.status_code == 422
    assert len(web.blobs) == 1


def test_the_same_key_with_another_webhook_is_refused(
    tmp_path: Path, make_web: Callable[..., Web]
) -> None:
    path = tmp_path / "webhooks"
    path.write_text(f"example done https://example.com/ {SECRET}\n")
    web = make_web(webhooks_file=str(path))
    body = {"model": "regno", "input": VALID}
    for sent, status in ((body, 202), ({**body, "webhook": "done"}, 422), (body, 202)):
        text = json.dumps(sent).encode()
        headers = {"Idempotency-Key": "k"}
        reply = web.call("POST", "/jobs", headers, data=text, content_type=_JSON)
        assert reply.status_code == status


def test_the_records_hold_no_text_of_a_key(web: Web) -> None:
    web.submit(VALID, {"Idempotency-Key": "A939HO196"})
    folder = Path(web.settings.jobs_dir)
    kept = b"".join(path.read_bytes() for path in folder.glob("records*"))
    assert b"regno" in kept
    assert b"A939HO196" not in kept


def test_keys_are_each_callers_own(web: Web) -> None:
    first = web.submit(VALID, {"Idempotency-Key": "k"})
    other = web.submit(VALID, {"Idempotency-Key": "k", "x-api-key": "of-another"})
    assert body_of(first)["id"] != body_of(other)["id"]


def test_a_refused_request_does_not_use_its_key_up(web: Web) -> None:
    assert web.submit({}, {"Idempotency-Key": "k"}).status_code == 400
    assert web.submit(VALID, {"Idempotency-Key": "k"}).status_code == 202


@pytest.mark.parametrize("key", ["", "k" * 256, "ключ", "a\tb"])
def test_a_key_that_is_no_key_is_refused(key: str, web: Web) -> None:
    reply = web.submit(VALID, {"Idempotency-Key": key.encode().decode("latin-1")})
    assert reply.status_code == 400
    assert web.blobs == []


def test_a_key_of_255_characters_is_taken(web: Web) -> None:
    assert web.submit(VALID, {"Idempotency-Key": "k" * 255}).status_code == 202


def test_too_many_waiting_jobs_are_429(make_web: Callable[..., Web]) -> None:
    web = make_web(jobs_max_waiting=2)
    assert [web.submit(VALID).status_code for _ in range(3)] == [202, 202, 429]
    assert len(web.blobs) == 2
    reply = web.submit(VALID)
    assert int(reply.headers["Retry-After"]) >= 1
    assert web.upload(_CSV, "text/csv").status_code == 202, "each kind has room of its own"


@pytest.mark.parametrize("stated", ["0", "x", "600001"])
def test_a_bad_timeout_is_refused(stated: str, web: Web) -> None:
    assert web.submit(VALID, {"X-Request-Timeout-Ms": stated}).status_code == 400


def test_a_job_waits_for_its_worker_only_when_that_is_preferred(web: Web) -> None:
    reply = web.submit(VALID, {"Prefer": "wait=0"})
    assert reply.status_code == 202
    assert "Preference-Applied" not in reply.headers
    assert web.job(reply).state is State.QUEUED


def test_a_registered_endpoint_of_this_key_may_be_named(
    make_web: Callable[..., Web], tmp_path: Path
) -> None:
    path = tmp_path / "webhooks"
    path.write_text(f"other mine https://example.com/ {SECRET}\n")
    web = make_web(webhooks_file=str(path))
    body = json.dumps({"model": "regno", "input": VALID, "webhook": "mine"}).encode()
    replies = [
        web.call("POST", "/jobs", headers, data=body, content_type=_JSON)
        for headers in ({}, OTHER_HEADER)
    ]
    assert [reply.status_code for reply in replies] == [400, 202]
    assert web.job(replies[1]).webhook == "mine"
