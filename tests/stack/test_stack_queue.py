"""Jobs and AMQP requests of the whole system, really run. Tests go from top to bottom."""

import json
import re
from collections.abc import Iterator
from io import BytesIO

import httpx
import pika
import pytest

from client import JobClient
from client.amqp import AmqpClient
from tests.stack.system import System
from tests.support.paths import ROOT, lines
from tests.support.server import eventually
from tests.support.tables import as_csv, samples

pytestmark = pytest.mark.stack

_OURS = ("web", "job-worker", "amqp-worker")
_SERVERS = (*_OURS, "rabbitmq", "redis")
_ALARMS = "rabbitmq_alarms_memory_used_watermark + rabbitmq_alarms_free_disk_space_watermark"
_OF_JOBS = re.compile("jobs|broker|records|clock")
_KNOWN = lines(ROOT / "loadgen/data/golden.jsonl")[0]
_BODY = json.dumps(_KNOWN["request"]).encode()


@pytest.fixture(scope="module")
def queue(system: System) -> Iterator[System]:
    """The system with jobs, as docs/operating.md starts them."""
    with system.as_said("Jobs in the stack"):
        yield system


@pytest.fixture
def jobs(queue: System, monkeypatch: pytest.MonkeyPatch) -> JobClient:
    """The client, at the edge; it trusts the test's authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(queue.folder / "secrets/edge/ca.crt"))
    return JobClient(queue.key("client"), f"https://localhost:{queue.ports['edge']}")


def test_all_of_it_is_up_and_healthy(queue: System) -> None:
    containers = queue.containers()
    states = {name: containers[name]["State"]["Health"]["Status"] for name in _SERVERS}
    assert set(states.values()) == {"healthy"}


def test_a_jobs_result_is_the_synchronous_reply(queue: System, jobs: JobClient) -> None:
    job = jobs.wait(jobs.submit(_KNOWN["request"]).id, 60)
    assert job.state == "succeeded"
    with queue.edge() as edge:
        headers = {"Content-Type": "application/json", "x-api-key": queue.key("client")}
        reply = edge.post("/reg/", content=_BODY, headers=headers)
    assert jobs.result(job.id) == reply.content
    assert reply.json()["body"]["positive"] == _KNOWN["positive"]


def test_a_job_ends_though_its_worker_is_killed(queue: System, jobs: JobClient) -> None:
    """Its file is too large for Redis: web processes and workers share a volume."""
    job = jobs.submit_file(BytesIO(as_csv(samples(300) * 200)), "night.csv").id
    eventually(lambda: jobs.job(job).done > 0, "progress of the job", seconds=60)
    queue.must("kill", "--signal", "KILL", "job-worker")
    queue.must("start", "job-worker")
    ended = jobs.wait(job, 180)
    assert (ended.state, ended.shown["attempts"]) == ("succeeded", 2)
    assert jobs.result(job).count(b"\n") == 60_001


def test_more_workers_are_scraped_each(queue: System) -> None:
    queue.must("up", "--detach", "--wait", "--scale", "job-worker=2", "job-worker")
    up = 'up{job=~"jobs|rabbitmq"} == 1'
    eventually(lambda: len(queue.prometheus(up)) == 5, "all of them are scraped", seconds=90)
    for query, value in (("min(scoring_jobs_reachable)", "1"), (_ALARMS, "0")):
        assert [one["value"][1] for one in queue.prometheus(query)] == [value]


def test_a_request_over_amqp_is_answered_for_a_user_that_the_operator_adds(queue: System) -> None:
    control = ("exec", "--no-TTY", "rabbitmq", "rabbitmqctl", "--quiet")
    queue.must(*control, "add_user", "camera", "a-password")
    queue.must(*control, "set_permissions", "-p", "scoring", "camera", "", "^scoring$", "")
    url = f"amqp://camera:a-password@127.0.0.1:{queue.ports['amqp']}/scoring"
    with AmqpClient(url) as client:
        reply = client.call("regno", _BODY, timeout=20)
    assert reply.status == 200
    assert json.loads(reply.body)["body"]["positive"] == _KNOWN["positive"]


def test_the_doctor_of_a_worker_finds_broker_and_records_well(queue: System) -> None:
    doctor = ("exec", "--no-TTY", "job-worker", "python", "-m", "service.doctor", "--json")
    findings = json.loads(queue.compose(*doctor).stdout)["findings"]
    of_jobs = {one["name"]: one["level"] for one in findings if _OF_JOBS.match(one["name"])}
    assert len(of_jobs) == 8
    assert set(of_jobs.values()) == {"ok"}, findings


def test_there_is_no_usual_user(queue: System) -> None:
    url = f"amqp://guest:guest@127.0.0.1:{queue.ports['amqp']}/%2F"
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(url))
    ask = ("exec", "--no-TTY", "redis", "redis-cli")
    assert "NOAUTH" in queue.must(*ask, "dbsize")
    forbidden = '"$(cat /run/secrets/records)"'
    shell = ("exec", "--no-TTY", "redis", "sh", "-c")
    assert "NOPERM" in queue.must(*shell, f"redis-cli -u {forbidden} flushall")


@pytest.mark.parametrize("name", _SERVERS)
def test_no_container_runs_as_root_or_can_write(name: str, queue: System) -> None:
    shell = ("exec", "--no-TTY", name, "sh", "-c")
    assert int(queue.must(*shell, "id -u")) > 0
    assert "Read-only file system" in queue.compose(*shell, "touch /tmp/../x").stderr


def test_a_renewed_password_is_in_force_after_the_restart_that_is_said(
    queue: System, jobs: JobClient
) -> None:
    for name in ("broker_users", "records_users"):
        said = queue.make_env(f"--only {name}").rpartition("docker compose ")[2]
        queue.must(*said.splitlines()[0].split())  # a make within a make says more
    queue.must("up", "--detach", "--wait", "--wait-timeout", "120")
    assert jobs.wait(jobs.submit(_KNOWN["request"]).id, 60).state == "succeeded"


def test_scores_pass_while_all_of_it_is_away(queue: System) -> None:
    queue.must("stop", "web", "redis", "rabbitmq")
    queue.must("restart", "edge")
    headers = {"Content-Type": "application/json", "x-api-key": queue.key("client")}
    with queue.edge() as edge:

        def scores() -> bool:
            try:
                return edge.post("/reg/", content=_BODY, headers=headers).status_code == 200
            except httpx.TransportError:  # it is about to start
                return False

        eventually(scores, "the edge scores without them")
        assert edge.get("/jobs", headers=headers).status_code in {502, 504}
    queue.must("up", "--detach", "--wait", "--wait-timeout", "120")


def test_records_outlive_their_server_and_a_stop_is_orderly(queue: System, jobs: JobClient) -> None:
    before = [(job.id, job.state) for job in jobs.jobs()]
    queue.must("restart", "redis", "rabbitmq")
    queue.must("up", "--detach", "--wait", "--wait-timeout", "120")
    assert [(job.id, job.state) for job in jobs.jobs()] == before
    assert {state for _, state in before} == {"succeeded"}
    queue.must("stop", *_OURS)
    codes = {name: queue.containers()[name]["State"]["ExitCode"] for name in _OURS}
    assert set(codes.values()) == {0}
