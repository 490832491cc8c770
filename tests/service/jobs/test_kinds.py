"""What jobs come to: the bytes of the reply over HTTP, the file of the command."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from itertools import count
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet
import pytest
from flask.testing import FlaskClient
from msgspec import structs
from redis import Redis

from model import score
from model.regno import MODEL, RegnoScorer
from service.config.settings import Settings
from service.jobs import cached_kind
from service.jobs.blobs import FileBlobs
from service.jobs.execution import Execution, Pace
from service.jobs.job import Job
from service.jobs.kinds import kinds
from service.jobs.models import JobModels, load_job_models
from service.jobs.sqlite_records import SqliteRecords
from service.jobs.states import State
from service.rollout.startup import Served
from tests.support import toys
from tests.support.clock import SteppedClock
from tests.support.jobs import LEASE, NOW, a_job
from tests.support.parts import AppMaker, make_parts
from tests.support.planted import PLATE
from tests.support.redis_server import RedisServer
from tests.support.tables import as_csv, samples

if TYPE_CHECKING:
    from flask import Flask

_ROWS = 10_500  # three parcels
_TABLE = samples(300) * 35


class Bench:
    """A worker in this process, which may be stopped after each step."""

    def __init__(self, folder: Path, models: JobModels, settings: Settings) -> None:
        self.records = SqliteRecords(folder / "records.sqlite")
        self.blobs = FileBlobs(folder / "blobs")
        self.is_stopping = False
        self.patience = 0.0
        self.at_look: Callable[[], None] = lambda: None
        self.clock = SteppedClock()
        self.clock.now = NOW
        pace = Pace(LEASE, 1000, self.clock)
        self.models = models
        known = kinds(models, settings)
        self.execution = Execution(self.records, self.blobs, known, pace, self._stops)

    def _stops(self) -> bool:
        """Whether to stop now: not at the first looks, of which there are `patience`."""
        self.at_look()
        self.patience -= 1
        return self.is_stopping and self.patience < 0

    def submit(self, content: bytes, kind: str, parameters: dict[str, str]) -> str:
        """The id of a new job."""
        job = a_job(kind=kind, parameters=parameters)
        named = json.dumps((kind, parameters)).encode()
        given = a_job(
            id=job.id,
            kind=kind,
            parameters=parameters,
            input=self.blobs.put(job.id, content),
            fingerprint=sha256(named + content).hexdigest(),
        )
        self.records.accept(given, "", 9)
        return job.id

    def job(self, job: str) -> Job:
        """The record."""
        found = self.records.get(job)
        assert found is not None
        return found

    def done(self, content: bytes, kind: str = "score", **parameters: str) -> Job:
        """A job that was done at once."""
        job = self.submit(content, kind, parameters)
        self.execution.deliver(job, "w")
        return self.job(job)

    def result(self, content: bytes, kind: str = "score", **parameters: str) -> bytes:
        """Its result."""
        job = self.done(content, kind, **parameters)
        assert job.state is State.SUCCEEDED, job
        return self.blobs.read(job.result)

    def result_in_steps(
        self, content: bytes, kind: str, rows: int, **parameters: str
    ) -> tuple[bytes, int]:
        """The result of a job whose worker has to stop after each step, and the attempts.

        Once all rows are scored it need not: what is written then is written in one attempt.
        """
        job = self.submit(content, kind, parameters)
        self.is_stopping = True
        attempts = 0
        while (found := self.job(job)).state is not State.SUCCEEDED:
            assert found.attempts == 0
            checkpoint = json.loads(found.checkpoint or "{}")
            is_scored = checkpoint.get("done") == rows
            self.patience = inf if is_scored else checkpoint.get("parcels", 0)  # are passed over
            self.execution.deliver(job, "w")
            attempts += 1
        self.is_stopping = False
        assert not list((self.blobs._folder / job).glob("*.part"))
        return self.blobs.read(self.job(job).result), attempts


BenchMaker = Callable[..., Bench]


@pytest.fixture
def make_bench(tmp_path: Path, settings: Settings, scorer: RegnoScorer) -> BenchMaker:
    """Makes a bench; each setting can be given, and another scorer than the bundled model's."""
    numbers = count()

    def make(scorer: RegnoScorer = scorer, **changed: Any) -> Bench:
        chosen = structs.replace(settings, **changed)
        parts = make_parts(chosen, scorer)
        served = Served(MODEL, parts.slot, parts.rollout_state)
        models = JobModels(chosen, parts.metrics, [served])
        return Bench(tmp_path / str(next(numbers)), models, chosen)

    return make


@pytest.fixture
def bench(make_bench: BenchMaker) -> Bench:
    """With the bundled model and default settings."""
    return make_bench()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _mixed(count: int) -> list[Any]:
    """Readings of which some can't be read."""
    rows: list[Any] = samples(count)
    rows[1::7] = [{**row, "direction": "north"} for row in rows[1::7]]
    rows[3] = 5
    return rows


@pytest.mark.parametrize("detail", ["0", "1"])
def test_a_result_has_the_bytes_of_the_reply_over_http(
    bench: Bench, client: FlaskClient, key: dict[str, str], request_body: Any, detail: str
) -> None:
    doubtful = {**request_body, "camera_class": "Новая"}
    bodies = [request_body, doubtful, [], [request_body, doubtful], _mixed(300) * 6]
    for body in (*map(_json, bodies), _json(_json(request_body).decode())):
        reply = client.post(f"/reg/?detail={detail}", data=body, headers=key, content_type=_TYPE)
        assert reply.status_code == 200
        assert bench.result(body, detail=detail) == reply.data


_TYPE = "application/json"


@pytest.mark.parametrize("body", [b"{}", b"[", b'"', b"\xff\xfe", b""])
def test_a_body_that_http_refuses_fails_with_the_same_reason(
    bench: Bench, client: FlaskClient, key: dict[str, str], body: bytes
) -> None:
    reply = client.post("/reg/", data=body, headers=key, content_type=_TYPE)
    job = bench.done(body)
    assert job.state is State.FAILED
    assert reply.json is not None
    assert job.error == reply.json["body"]


def test_an_array_may_be_longer_than_over_http(bench: Bench, make_app: AppMaker) -> None:
    rows = _json(samples(1200))
    app: Flask = make_app(max_rows=1000)
    assert app.test_client().post("/reg/", data=rows, content_type=_TYPE).status_code != 200
    assert bench.done(rows).done == 1200


@pytest.mark.parametrize("detail", ["0", "1"])
def test_an_array_goes_on_from_its_checkpoint(bench: Bench, detail: str) -> None:
    rows = _json(_mixed(550) * 5)
    result, attempts = bench.result_in_steps(rows, "score", 2750, detail=detail)
    assert attempts > 3
    assert result == bench.result(rows, detail=detail)


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_table_goes_on_from_its_checkpoint(bench: Bench, name: str, tmp_path: Path) -> None:
    rows = as_csv(_TABLE if name != "xlsx" else _TABLE[:300])
    if name == "xlsx":
        assert bench.done(rows, "table", format=name).done == 300
        return
    result, attempts = bench.result_in_steps(rows, "table", _ROWS, format=name)
    assert attempts == 4
    assert result == bench.result(rows, "table", format=name)
    if name == "parquet":
        (tmp_path / "r.parquet").write_bytes(result)
        assert pyarrow.parquet.read_metadata(tmp_path / "r.parquet").num_rows == _ROWS


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _files(bench: Bench, job: str) -> set[str]:
    return {path.suffix for path in (bench.blobs._folder / job).iterdir()}


@pytest.mark.parametrize("name", ["csv", "parquet", "xlsx"])
def test_a_stop_while_a_table_is_written_gives_the_job_back(
    bench: Bench, name: str, temporary: Path
) -> None:
    rows = as_csv(_TABLE[:1500])
    job = bench.submit(rows, "table", {"format": name})
    bench.is_stopping, bench.patience = True, 1  # all rows are scored and saved
    bench.execution.deliver(job, "w")
    seen = bench.job(job)
    assert (seen.state, seen.attempts, seen.done) == (State.QUEUED, 0, 1500)
    assert bool(seen.checkpoint) == (name != "xlsx")
    assert _files(bench, job) == {""}  # none that is unfinished
    assert list(temporary.iterdir()) == []
    bench.is_stopping = False
    bench.execution.deliver(job, "w")
    assert (bench.job(job).state, bench.job(job).done) == (State.SUCCEEDED, 1500)
    if name != "xlsx":  # which holds the time when it was written
        assert bench.blobs.read(bench.job(job).result) == bench.result(rows, "table", format=name)


@pytest.mark.parametrize("name", ["csv", "xlsx"])
def test_a_cancellation_while_a_table_is_written_is_obeyed(
    bench: Bench, name: str, temporary: Path
) -> None:
    job = bench.submit(as_csv(_TABLE[:1500]), "table", {"format": name})

    def cancel() -> None:
        """At the first look: all rows are scored and saved. The next one is seconds later."""
        bench.records.cancel(job, "alice", bench.clock.now)
        bench.clock.now += 3

    bench.at_look = cancel
    bench.execution.deliver(job, "w")
    assert (bench.job(job).state, bench.job(job).done) == (State.CANCELLED, 1500)
    assert not (bench.blobs._folder / job).exists()
    assert list(temporary.iterdir()) == []


class Slow(BytesIO):
    """A file of which each reading takes seconds; with the first one its job is cancelled."""

    def __init__(self, content: bytes, bench: Bench, job: str) -> None:
        super().__init__(content)
        self._bench = bench
        self._job = job

    def read(self, size: int | None = -1, /) -> bytes:
        self._bench.records.cancel(self._job, "alice", self._bench.clock.now)
        self._bench.clock.now += 3
        return super().read(size)


def test_a_cancellation_while_a_workbook_is_opened_is_obeyed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = BytesIO()
    pd.read_csv(BytesIO(as_csv(_TABLE[:20])), dtype=str).to_excel(content, index=False)
    job = bench.submit(content.getvalue(), "table", {})
    file = Slow(content.getvalue(), bench, job)
    monkeypatch.setattr(bench.blobs, "open", lambda _reference: file)
    bench.execution.deliver(job, "w")
    assert (bench.job(job).state, bench.job(job).done) == (State.CANCELLED, 0)
    assert file.closed


def test_a_cancellation_while_a_workbook_is_packed_is_obeyed(
    bench: Bench, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = bench.submit(as_csv(_TABLE[:1500]), "table", {"format": "xlsx"})
    packed = []
    writing = bench.blobs.writing

    @contextmanager
    def noted(name: str) -> Iterator[Any]:
        with writing(name) as blob:
            bench.at_look = cancel  # all rows are scored and saved
            yield blob
            packed.append(blob)

    def cancel() -> None:
        """Before the last rows are added to the book; the next look is seconds later."""
        bench.records.cancel(job, "alice", bench.clock.now)
        bench.clock.now += 3

    monkeypatch.setattr(bench.blobs, "writing", noted)
    bench.execution.deliver(job, "w")
    assert bench.job(job).state is State.CANCELLED
    assert packed == []
    assert list(temporary.iterdir()) == []


def test_progress_of_an_array_is_in_rows(bench: Bench) -> None:
    job = bench.submit(_json(_mixed(550) * 5), "score", {})
    bench.is_stopping = True
    bench.execution.deliver(job, "w")
    assert (bench.job(job).done, bench.job(job).total) == (500, 2750)


def test_progress_of_a_table_is_in_rows(bench: Bench) -> None:
    rows = as_csv(_TABLE)
    job = bench.submit(rows, "table", {})
    bench.is_stopping = True
    bench.execution.deliver(job, "w")
    seen = bench.job(job)
    assert seen.done == 5000
    assert seen.total == pytest.approx(_ROWS, rel=0.1)
    bench.is_stopping = False
    bench.execution.deliver(job, "w")
    assert (bench.job(job).done, bench.job(job).total) == (_ROWS, _ROWS)


def test_a_file_that_is_no_table_fails_with_the_reason(bench: Bench) -> None:
    job = bench.done(b"a,b\n1,2\n", "table")
    assert job.state is State.FAILED
    assert job.error.startswith("file: its header lacks regno_recognize")
    assert bench.done(b"a", "table", format="doc").error.startswith("format: ")
    assert bench.done(b"a", "table", sep="x").error.startswith("sep: ")
    assert bench.done(b"a", "table", encoding="x").error.startswith("encoding: ")
    assert bench.done(b"a", "table", decimal="x").error.startswith("decimal: ")
    assert bench.done(b"{}", detail="yes").error.startswith("detail: ")


def _body(result: bytes) -> Any:
    return json.loads(result)["body"]


@pytest.mark.usefixtures("no_explainer_is_left")
def test_a_request_is_explained_together_with_its_score(
    bench: Bench, client: FlaskClient, key: dict[str, str], request_body: Any
) -> None:
    doubtful = {**request_body, "camera_class": "Новая"}
    made = _body(bench.result(_json(doubtful), explain="1"))
    scored = client.post("/reg/?detail=1", json=doubtful, headers=key).json
    explained = client.post("/reg/explain", json=doubtful, headers=key).json
    assert scored
    assert explained
    assert made == {"score": scored["body"], "explanation": explained["body"], "unexplained": ""}


def test_a_score_that_can_not_be_explained_says_why(
    bench: Bench, request_body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RegnoScorer, "unexplained", "its trees are secret")
    made = _body(bench.result(_json(request_body), explain="1"))
    assert made["explanation"] is None
    assert made["unexplained"].endswith("its trees are secret")
    assert 0 < made["score"]["positive"] < 1


def test_one_request_is_explained_at_a_time(bench: Bench, request_body: Any) -> None:
    assert bench.done(_json([request_body]), explain="1").error.startswith("explain: ")
    assert bench.done(_json(request_body), explain="2").error.startswith("explain: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "parameters", "suffix"),
    [
        ({}, {}, "csv"),
        ({}, {"detail": "1"}, "csv"),
        ({}, {"format": "parquet"}, "parquet"),
        ({"delimiter": ";", "lineterminator": "\r\n"}, {"format": "jsonl"}, "jsonl"),
    ],
)
def test_a_table_is_the_file_that_the_command_writes(
    bench: Bench,
    tmp_path: Path,
    how: dict[str, Any],
    parameters: dict[str, str],
    suffix: str,
) -> None:
    rows = [row for row in _mixed(300) * 20 if row != 5]
    given = as_csv(rows, **how).decode().encode("cp1251" if how else "utf-8", errors="replace")
    (tmp_path / "in.csv").write_bytes(given)
    out = tmp_path / f"out.{suffix}"
    options = ["--detail"] if "detail" in parameters else []
    score.main([*options, "--processes", "1", "--no-progress", str(tmp_path / "in.csv"), str(out)])
    assert bench.result(given, "table", **parameters) == out.read_bytes()


@pytest.fixture
def cached(make_bench: BenchMaker, records_url: str) -> BenchMaker:
    """Makes a bench with a cache."""

    def make(*scorer: RegnoScorer, **changed: Any) -> Bench:
        return make_bench(*scorer, cache=records_url, cache_secret="s" * 32, **changed)

    return make


def _lookups(bench: Bench) -> dict[str, float]:
    samples = bench.models.registry.collect()
    return {
        sample.labels["result"]: sample.value
        for family in samples
        for sample in family.samples
        if sample.name == "scoring_cache_requests_total" and sample.value
    }


@pytest.mark.slow
def test_a_result_of_the_cache_has_the_same_bytes_and_record(
    bench: Bench, cached: BenchMaker
) -> None:
    first, second = cached(), cached()
    rows = _json(_mixed(300))
    for detail in ("0", "1"):
        expected = bench.done(rows, detail=detail)
        for each in (first, first, second):
            job = each.done(rows, detail=detail)
            assert each.blobs.read(job.result) == bench.blobs.read(expected.result)
            for name in ("state", "result_type", "done", "total", "version", "error"):
                assert getattr(job, name) == getattr(expected, name)
    assert (_lookups(first), _lookups(second)) == ({"hit": 2, "miss": 2}, {"hit": 2})


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {"guards": "camera_class=reject"},
        {"unseen": "reject"},
        {"cost_network_wrong": 9.0},
        {"cost_camera_wrong": 9.0},
        {"cost_manual": 0.01},
        {"thresholds": "costs"},
    ],
)
def test_other_settings_of_replies_find_nothing(
    cached: BenchMaker, request_body: Any, changed: dict[str, Any]
) -> None:
    cached().done(_json(request_body), detail="1")
    other = cached(**changed)
    other.done(_json(request_body), detail="1")
    assert _lookups(other) == {"miss": 1}


@pytest.mark.slow
def test_another_version_finds_nothing(
    cached: BenchMaker, request_body: Any, tmp_path: Path
) -> None:
    cached().done(_json(request_body))
    other = cached(RegnoScorer.load(toys.save(toys.classifier(0, 1), tmp_path)))
    other.done(_json(request_body))
    assert _lookups(other) == {"miss": 1}


@pytest.mark.slow
def test_neither_tables_nor_failures_nor_large_results_are_cached(
    cached: BenchMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = cached()
    for _ in range(2):
        bench.result(as_csv(samples(3)), "table")
    assert _lookups(bench) == {}
    for _ in range(2):
        assert bench.done(b"{}").state is State.FAILED
    assert _lookups(bench) == {"miss": 2}
    monkeypatch.setattr(cached_kind, "GREATEST_RESULT", 100)
    for _ in range(2):
        bench.result(_json(samples(10)))
    assert _lookups(bench) == {"miss": 4}


@pytest.mark.slow
def test_no_plate_of_a_job_stands_in_redis(cached: BenchMaker, redis: RedisServer) -> None:
    bench = cached()
    (row,) = samples(1)
    fields = ("regno_recognize", "afts_regno_ai", "camera_type", "camera_class", "time_check")
    rows = [{**row, name: PLATE} for name in (*fields, "direction", "afts_regno_ai_score")]
    bench.result(_json([*rows, PLATE, {PLATE: 1}, {**row, PLATE: PLATE}]), detail="1")
    with Redis(port=redis.port) as stored:
        keys = stored.keys()
        seen = b"".join([*keys, *(stored.get(key) for key in keys)])
    assert keys
    assert PLATE.encode() not in seen
    assert PLATE.encode("ascii", errors="backslashreplace") not in seen


@pytest.mark.slow
def test_without_its_redis_a_job_is_done(
    cached: BenchMaker, redis: RedisServer, request_body: Any
) -> None:
    bench = cached()
    with redis.paused():
        assert bench.done(_json(request_body)).state is State.SUCCEEDED
    assert _lookups(bench) == {"error": 1}


def test_decisions_of_jobs_are_not_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = structs.replace(Settings(), decisions="required", decisions_dir=str(log))
    bench = Bench(tmp_path, load_job_models(settings), settings)
    bench.models.start("0")
    assert bench.done(json.dumps(samples(3)).encode()).state is State.SUCCEEDED
    assert not log.exists()
