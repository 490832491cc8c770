"""`plate-scoring jobs` against the real web processes, and what it says where there are none."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from client import AsyncJobClient, Job, JobClient, Refused, Unreachable
from client.jobs import main
from loadgen.common.processes import free_port
from tests.support.commands import environment
from tests.support.server import KEY
from tests.support.tables import as_csv, read, samples
from tests.support.web import READING
from tests.support.web_server import WebServer, web_serving


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """Web processes in the embedded form."""
    with web_serving(tmp_path_factory.mktemp("client")) as server:
        yield server


@pytest.fixture
def jobs(web: WebServer) -> JobClient:
    """A client with the key."""
    return JobClient(KEY, web.url)


def _run(web: WebServer, *arguments: object, key: str = KEY) -> int:
    command, *rest = map(str, arguments)
    return main([command, "--url", web.url, "--key", key, *rest])


def _shown(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@pytest.mark.slow
def test_a_table_is_submitted_waited_for_and_written(
    web: WebServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(as_csv(samples(20)))
    assert _run(web, "submit", source, "--wait", "--output", target) == 0
    rows = read(target.read_bytes())
    assert len(rows) == 20
    assert all(0 <= float(row["positive"]) <= 1 for row in rows)
    said = capfd.readouterr().err
    assert re.fullmatch(r"submitted: [0-9a-z]{26}\n", said), "no bar without a terminal"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.slow
def test_a_job_may_be_followed_step_by_step(
    web: WebServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.json"
    source.write_text(json.dumps(READING), encoding="utf-8")
    assert _run(web, "submit", source, "--json", "--idempotency-key", "step") == 0
    (submitted,) = _shown(capfd)
    assert _run(web, "status", submitted["id"], "--wait", "--json") == 0
    (ended,) = _shown(capfd)
    assert (ended["id"], ended["state"]) == (submitted["id"], "succeeded")
    assert _run(web, "result", submitted["id"]) == 0
    assert 0 <= json.loads(capfd.readouterr().out)["body"]["positive"] <= 1
    assert _run(web, "list", "--json", "--state", "succeeded") == 0
    assert submitted["id"] in [job["id"] for job in _shown(capfd)]
    assert _run(web, "cancel", submitted["id"]) == 1
    assert "409" in capfd.readouterr().err


@pytest.mark.slow
def test_a_job_that_fails_is_no_success(
    web: WebServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("a,b\n1,2\n")
    assert _run(web, "submit", source, "--wait") == 1
    said = capfd.readouterr().out
    assert " failed " in said
    assert _run(web, "status", said.split()[0]) == 1
    assert _run(web, "result", said.split()[0], "--wait") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "key"),
    [(("status", "0"), KEY), (("cancel", "0"), KEY), (("result", "0"), KEY), (("list",), "wrong")],
)
def test_what_the_service_refuses_is_1_with_its_reason(
    arguments: tuple[str, ...], key: str, web: WebServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _run(web, *arguments, key=key) == 1
    said = capfd.readouterr().err
    assert said.startswith("plate-scoring jobs: refused with 40")
    assert said.count("\n") == 1


@pytest.mark.slow
def test_the_class_submits_waits_and_fetches(jobs: JobClient) -> None:
    job = jobs.submit([READING, READING], detail=True)
    seen: list[Job] = []
    ended = jobs.wait(job.id, note=seen.append)
    assert (ended.state, seen[-1], ended.error) == ("succeeded", ended, "")
    body = json.loads(jobs.result(job.id))["body"]
    assert {"positive", "decision"} <= body[0].keys()
    assert job.id in [found.id for found in jobs.jobs(limit=3)]


@pytest.mark.slow
def test_the_class_uploads_files_in_pieces(jobs: JobClient) -> None:
    sent: list[int] = []
    content = as_csv(samples(2000))
    job = jobs.submit_file(BytesIO(content), "night.csv", note=sent.append, format="jsonl")
    assert sum(sent) == len(content)
    assert jobs.wait(job.id).done == 2000
    assert len(jobs.result(job.id).splitlines()) == 2000


@pytest.mark.slow
def test_refusals_have_a_status_and_a_reason(jobs: JobClient) -> None:
    with pytest.raises(Refused) as refused:
        jobs.submit({**READING, "direction": "north"})
    assert refused.value.status == 400
    assert refused.value.reason.startswith("direction: ")


# For coroutines.


@pytest.fixture
async def async_jobs(web: WebServer) -> AsyncIterator[AsyncJobClient]:
    """A client with the key."""
    async with AsyncJobClient(KEY, web.url) as client:
        yield client


@pytest.mark.slow
@pytest.mark.anyio
async def test_many_jobs_are_submitted_and_waited_for_at_once(
    jobs: JobClient, async_jobs: AsyncJobClient
) -> None:
    submitted = await asyncio.gather(*(async_jobs.submit([READING] * n) for n in range(1, 9)))
    seen: list[Job] = []
    ended = await asyncio.gather(*(async_jobs.wait(job.id, note=seen.append) for job in submitted))
    assert [(job.id, job.state) for job in ended] == [(job.id, "succeeded") for job in submitted]
    assert {job.id for job in seen if job.has_ended} == {job.id for job in submitted}
    results = await asyncio.gather(*(async_jobs.result(job.id) for job in ended))
    assert [len(json.loads(body)["body"]) for body in results] == list(range(1, 9))
    assert [jobs.result(job.id) for job in ended] == results
    newest = [job.id async for job in async_jobs.jobs("succeeded", limit=3)]
    assert newest == [job.id for job in jobs.jobs("succeeded", limit=3)]
    assert len(newest) == 3


@pytest.mark.slow
@pytest.mark.anyio
async def test_tables_are_uploaded_in_pieces(async_jobs: AsyncJobClient) -> None:
    sent: list[int] = []
    content = as_csv(samples(2000))
    job = await async_jobs.submit_file(
        BytesIO(content), "night.csv", note=sent.append, format="jsonl"
    )
    assert (sum(sent), len(sent) > 1) == (len(content), True)
    assert (await async_jobs.wait(job.id)).done == 2000
    assert len((await async_jobs.result(job.id)).splitlines()) == 2000


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_job_that_has_ended_can_not_be_cancelled(async_jobs: AsyncJobClient) -> None:
    job = await async_jobs.wait((await async_jobs.submit(READING)).id)
    with pytest.raises(Refused) as refused:
        await async_jobs.cancel(job.id)
    assert refused.value.status == 409
    with pytest.raises(Refused) as refused:
        await async_jobs.submit({**READING, "direction": "north"})
    assert (refused.value.status, refused.value.reason[:11]) == (400, "direction: ")


@pytest.mark.slow
@pytest.mark.anyio
async def test_an_upload_that_is_refused_says_why(web: WebServer) -> None:
    async with AsyncJobClient("wrong", web.url) as jobs:
        with pytest.raises(Refused) as refused:
            await jobs.submit_file(BytesIO(b"x" * (8 << 20)), "night.csv")
    assert refused.value.status == 401


# Without a service.


def test_a_service_that_is_not_there_is_69(capfd: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert main(["list", "--url", url, "--key", "k"]) == 69
    assert "can't be reached" in capfd.readouterr().err


def test_a_submission_is_tried_again_with_the_same_key() -> None:
    pauses: list[float] = []
    client = JobClient("k", f"http://127.0.0.1:{free_port()}", sleep=pauses.append)
    with pytest.raises(Unreachable):
        client.submit({})
    assert pauses == sorted(pauses)
    assert len(pauses) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--url", "ftp://h", "--key", "k"], "the address"),
        (["list", "--key", ""], "CLIENT_KEY"),
        (["submit", "none-such.csv", "--key", "k"], "none-such.csv"),
    ],
)
def test_wrong_usage_is_2(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert said in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["frob"], ["status"], ["list", "--state", "done"]])
def test_an_unknown_command_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_json_that_is_none_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.json").write_text("{")
    assert main(["submit", str(tmp_path / "in.json"), "--key", "k"]) == 2
    assert "not JSON" in capfd.readouterr().err


def test_the_key_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_KEY", "k")
    monkeypatch.setenv("CLIENT_URL", f"http://127.0.0.1:{free_port()}")
    assert main(["list"]) == 69


def test_the_program_has_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plate_scoring", "jobs", "submit", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--wait" in done.stdout


def test_dead_jobs_are_for_operators_who_have_the_records(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plate_scoring", "jobs", "dead", "list"],
        env=environment(tmp_path, {"SCORING_JOBS_DIR": str(tmp_path / "jobs")}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
