"""Jobs from end to end through the real web processes and workers, in each form that they have."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from loadgen.common.processes import free_port
from tests.support import packages
from tests.support.server import KEY_HEADER, METRICS_TOKEN, eventually
from tests.support.tables import as_csv, read, samples
from tests.support.web import OTHER_HEADER, READING
from tests.support.web_server import WebServer, web_serving, working_for

pytestmark = pytest.mark.slow

_ENDED = {"succeeded", "failed", "cancelled", "expired", "dead"}
_ROWS = 300


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def web(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebServer]:
    """The web processes and what does their jobs, in one form."""
    folder, settings = tmp_path_factory.mktemp(request.param), {"job_checkpoint_rows": "100"}
    if request.param == "embedded":
        with web_serving(folder, **settings) as server:
            yield server
        return
    rabbitmq, redis = (request.getfixturevalue(name) for name in ("rabbitmq", "redis"))
    settings |= {"broker": rabbitmq.url(rabbitmq.add_vhost()), "records": redis.url}
    with web_serving(folder, **settings) as server, working_for(server):
        yield server


@pytest.fixture
def jobs(web: WebServer) -> Iterator[httpx.Client]:
    """A client of the web processes, with the key."""
    with web.client() as client:
        yield client


def _submitted(jobs: httpx.Client, given: object, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return jobs.post("/jobs", json={"model": "regno", "input": given}, headers=named)


def _ended(jobs: httpx.Client, reply: httpx.Response) -> dict[str, Any]:
    """The job that a reply names, when it has ended."""
    assert reply.status_code == 202, reply.text
    path = reply.headers["location"]
    while True:
        shown: dict[str, Any] = jobs.get(path, params={"wait": 30}).json()["body"]
        if shown["state"] in _ENDED:
            return shown


def _result(jobs: httpx.Client, reply: httpx.Response) -> bytes:
    shown = _ended(jobs, reply)
    assert shown["state"] == "succeeded", shown
    result = jobs.get(shown["result_url"])
    assert result.headers["x-model-version"] == shown["version"]
    return result.content


@pytest.mark.parametrize("path", ["/reg/", "/reg/?detail=1"])
@pytest.mark.parametrize("given", [READING, [READING] * 3, [READING, {}, READING]])
def test_a_result_is_the_bytes_of_the_synchronous_reply(
    given: object, path: str, jobs: httpx.Client, http: httpx.Client
) -> None:
    expected = http.post(path, json=given).content
    query = path.partition("?")[2]
    reply = jobs.post(f"/jobs?{query}", json={"model": "regno", "input": given})
    assert _result(jobs, reply) == expected


def test_a_caller_that_waits_gets_the_synchronous_reply(
    jobs: httpx.Client, http: httpx.Client
) -> None:
    reply = _submitted(jobs, READING, prefer="wait=30")
    assert (reply.status_code, reply.content) == (200, http.post("/reg/", json=READING).content)
    assert reply.headers["x-model-version"]


_FORMS = [
    ("text/csv", "csv"),
    ("application/jsonl", "jsonl"),
    ("application/vnd.apache.parquet", "parquet"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
]


def _table(form: str) -> bytes:
    """Some readings as a file."""
    import pandas as pd

    rows = pd.DataFrame(samples(_ROWS))
    file = BytesIO()
    if form == "csv":
        return as_csv(samples(_ROWS))
    if form == "jsonl":
        rows.to_json(file, orient="records", lines=True)
    elif form == "parquet":
        rows.to_parquet(file, index=False)
    else:
        rows.to_excel(file, index=False)
    return file.getvalue()


def _scores(form: str, content: bytes) -> Any:
    import pandas as pd

    reader = {
        "csv": pd.read_csv,
        "jsonl": lambda file: pd.read_json(file, lines=True),
        "parquet": pd.read_parquet,
        "xlsx": pd.read_excel,
    }[form]
    return [float(value) for value in reader(BytesIO(content))["positive"]]  # type: ignore[operator]


@pytest.mark.parametrize(("media_type", "form"), _FORMS)
@pytest.mark.parametrize("way", ["body", "form"])
def test_an_uploaded_table_comes_back_with_scores(
    media_type: str, form: str, way: str, jobs: httpx.Client, http: httpx.Client
) -> None:
    content, name = _table(form), f"night.{form}"
    if way == "body":
        query = {"model": "regno", "filename": name}
        reply = jobs.post(
            "/jobs", params=query, content=content, headers={"content-type": media_type}
        )
    else:
        reply = jobs.post(
            "/jobs", data={"model": "regno"}, files={"file": (name, content, media_type)}
        )
    shown = _ended(jobs, reply)
    assert (shown["state"], shown["progress"]) == ("succeeded", {"done": _ROWS, "total": _ROWS})
    result = jobs.get(shown["result_url"])
    assert name in result.headers["content-disposition"]
    assert result.headers["content-type"].partition(";")[0] == media_type
    synchronous = http.post("/reg/", json=samples(_ROWS)).json()["body"]
    expected = [score["positive"] for score in synchronous]
    assert _scores(form, result.content) == pytest.approx(expected, abs=1e-12)


def test_a_file_that_is_no_table_fails_with_a_reason(jobs: httpx.Client) -> None:
    reply = jobs.post(
        "/jobs?model=regno", content=b"a,b\n1,2\n", headers={"content-type": "text/csv"}
    )
    shown = _ended(jobs, reply)
    assert (shown["state"], shown["attempts"]) == ("failed", 1)
    assert shown["error"]
    assert jobs.get(f"{reply.headers['location']}/result").status_code == 409


def test_the_same_key_from_fifty_threads_is_one_job(jobs: httpx.Client) -> None:
    with ThreadPoolExecutor(50) as threads:
        replies = list(
            threads.map(lambda _: _submitted(jobs, READING, idempotency_key="fifty"), range(50))
        )
    assert {reply.status_code for reply in replies} <= {202, 409}
    taken = [reply for reply in replies if reply.status_code == 202]
    assert len({reply.json()["body"]["id"] for reply in taken}) == 1
    assert sum("idempotency-replayed" not in reply.headers for reply in taken) == 1


def test_the_jobs_of_another_key_are_not_there(jobs: httpx.Client) -> None:
    reply = _submitted(jobs, READING)
    shown = _ended(jobs, reply)
    for method, path in (
        ("GET", reply.headers["location"]),
        ("GET", shown["result_url"]),
        ("DELETE", reply.headers["location"]),
    ):
        assert jobs.request(method, path, headers=OTHER_HEADER).status_code == 404
    assert jobs.get("/jobs", headers=OTHER_HEADER).json()["body"]["jobs"] == []


def test_no_log_holds_a_plate_or_a_key(web: WebServer, jobs: httpx.Client) -> None:
    _ended(jobs, _submitted(jobs, READING))
    _submitted(jobs, {**READING, "direction": READING["regno_recognize"]})
    jobs.get(f"/jobs/{READING['regno_recognize']}")
    said = web.output() + web.errors()
    assert "/jobs" in said
    for secret in (READING["regno_recognize"], READING["afts_regno_ai"], "123321", "of-another"):
        assert secret not in said


def test_requests_are_counted_by_their_templates(jobs: httpx.Client) -> None:
    _ended(jobs, _submitted(jobs, READING))
    series = 'scoring_http_requests_total{key="example",method="GET",route="/jobs/<job_id>",'
    token = {"authorization": f"Bearer {METRICS_TOKEN}"}
    assert series in jobs.get("/metrics", headers=token).text
    assert jobs.get("/metrics").status_code == 401


# Faults: each of these servers is the test's own.


def _long(rows: int = 100_000) -> bytes:
    one = as_csv(samples(200)).splitlines(keepends=True)
    return one[0] + b"".join(one[1:]) * (rows // 200)


def _upload_long(jobs: httpx.Client, rows: int = 100_000) -> httpx.Response:
    return jobs.post("/jobs?model=regno", content=_long(rows), headers={"content-type": "text/csv"})


def _running(jobs: httpx.Client, reply: httpx.Response) -> dict[str, Any]:
    """The job once some of its rows are saved."""
    path, shown = reply.headers["location"], {}

    def begun() -> bool:
        shown.update(jobs.get(path).json()["body"])
        return bool(shown["progress"]["done"]) or shown["state"] in _ENDED

    eventually(begun, "the job has saved some rows")
    assert shown["state"] == "running", shown
    return shown


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_address_of_the_metrics_has_their_page_and_no_jobs(host: str, tmp_path: Path) -> None:
    port = free_port()
    with web_serving(tmp_path, web_metrics_bind=f"{host}:{port}") as server:
        bearer = {"Authorization": f"Bearer {METRICS_TOKEN}", **KEY_HEADER}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer) as client:
            statuses = [client.get(path).status_code for path in ("/metrics", "/readyz", "/jobs")]
        assert statuses == [200, 200, 404]
        with server.client(**bearer) as jobs:
            assert [jobs.get(path).status_code for path in ("/metrics", "/jobs")] == [404, 200]


def test_jobs_stay_over_a_stop_and_resume_where_they_were(tmp_path: Path) -> None:
    """TERM while a job runs ends all processes with 0; the next start goes on with the job.

    A job that was cancelled while it ran stays so.
    """
    with web_serving(tmp_path, job_checkpoint_rows="1000") as first, first.client() as jobs:
        done = _submitted(jobs, READING)
        expected = _result(jobs, done)
        unwanted = _cancelled_while_it_ran(jobs)
        reply = _upload_long(jobs)
        _running(jobs, reply)
        processes = psutil.Process(first.process.pid).children(recursive=True)
    assert not [process for process in processes if process.is_running()]
    with web_serving(tmp_path, job_checkpoint_rows="1000") as second, second.client() as jobs:
        shown = jobs.get(reply.headers["location"]).json()["body"]
        assert shown["progress"]["done"] > 0, "what was done is not done again"
        shown = _ended(jobs, reply)
        assert (shown["state"], shown["attempts"]) == ("succeeded", 1)
        assert len(read(jobs.get(shown["result_url"]).content)) == 100_000
        assert jobs.get(f"{done.headers['location']}/result").content == expected
        assert jobs.get(unwanted).json()["body"]["state"] == "cancelled"


def _cancelled_while_it_ran(jobs: httpx.Client) -> str:
    """The address of a job that has ended so; one that waited behind it is cancelled, too."""
    reply = _upload_long(jobs)
    _running(jobs, reply)
    address = reply.headers["location"]
    asked = jobs.delete(address)
    assert (asked.status_code, asked.json()["body"]["cancelling"]) == (202, True)
    waiting = _upload_long(jobs, 1000)
    assert _ended(jobs, reply)["state"] == "cancelled"
    assert jobs.delete(waiting.headers["location"]).status_code in {200, 202, 409}
    return str(address)


def test_a_killed_worker_is_replaced_and_a_killed_master_leaves_no_process(
    tmp_path: Path,
) -> None:
    server = WebServer(tmp_path, job_checkpoint_rows="2000", job_lease_seconds="2")
    try:
        server.wait_ready()
        with server.client() as jobs:
            reply = _upload_long(jobs)
            _running(jobs, reply)
            parent = server.job_worker()
            for process in (parent, *parent.children(recursive=True)):
                process.kill()
            shown = _ended(jobs, reply)
        assert (shown["state"], shown["attempts"]) == ("succeeded", 2)
        assert server.job_worker().pid != parent.pid
        assert any(
            "The job worker ended with signal 9" in line for line in server.output().split("\n")
        )
        children = psutil.Process(server.process.pid).children(recursive=True)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        eventually(lambda: not any(map(_runs, children)), "no process is left", 30)
    finally:
        server.close()


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_the_start_says_which_form_it_is(web: WebServer) -> None:
    lines = [json.loads(line)["message"] for line in web.output().splitlines() if "Serving" in line]
    assert len(lines) == 1
    assert ("embedded" in lines[0]) == web.is_embedded


def test_web_processes_start_while_broker_and_records_are_away(tmp_path: Path) -> None:
    """They say so in /readyz, answer 503 at once, and stop as ever."""
    broker, records = f"amqp://u:wL9x@127.0.0.1:{free_port()}", f"redis://127.0.0.1:{free_port()}"
    server = WebServer(tmp_path, broker=broker, records=records)
    try:
        server.wait_until(server.is_alive)
        with server.client() as jobs:
            ready = jobs.get("/readyz")
            assert (ready.status_code, "can't be reached" in ready.text) == (503, True)
            for reply in (_submitted(jobs, READING), jobs.get("/jobs"), jobs.get("/jobs/01abc")):
                assert (reply.status_code, "retry-after" in reply.headers) == (503, True)
                assert reply.elapsed.total_seconds() < 1
        assert not list((server.jobs / "blobs").rglob("*.part"))
        assert server.stop() == 0
        assert "wL9x" not in server.output() + server.errors()
    finally:
        server.close()


@pytest.mark.parametrize("installed", [packages.locked(), packages.in_the_image()])
def test_the_embedded_form_needs_only_what_make_run_installs(
    installed: set[str], tmp_path: Path
) -> None:
    path = packages.python_path(tmp_path, installed)
    with web_serving(tmp_path, python_path=path) as server, server.client() as jobs:
        assert json.loads(_result(jobs, _submitted(jobs, READING)))["status"] == "ok"
        reply = jobs.post(
            "/jobs?model=regno", content=_table("csv"), headers={"content-type": "text/csv"}
        )
        assert len(read(_result(jobs, reply))) == _ROWS
