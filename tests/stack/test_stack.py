"""The whole system, really run: what its operators count on. Tests go from top to bottom."""

import json
import os
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
import pytest

from loadgen.load.verdict import EXIT_CODES, Outcome
from service import VERSION
from tests.stack.system import ALL, PROJECT, System, configuration
from tests.support.digits import write_digits
from tests.support.paths import ROOT, lines
from tests.support.server import eventually
from tests.support.vacuous import nonempty

pytestmark = pytest.mark.stack

_SERVICE_IMAGE = f"plate-scoring:{VERSION}"
_SERVERS = ("scoring", "edge", "prometheus", "alertmanager", "grafana")


_KNOWN = lines(ROOT / "loadgen/data/golden.jsonl")[0]


def score(system: System, key: str) -> httpx.Response:
    with system.edge() as edge:
        return edge.post("/reg/", json=_KNOWN["request"], headers={"x-api-key": key})


def test_all_of_it_is_up_and_healthy(system: System) -> None:
    containers = system.containers()
    states = {name: containers[name]["State"]["Health"]["Status"] for name in _SERVERS}
    assert set(states.values()) == {"healthy"}
    for name in ("edge-config", "alertmanager-config"):
        assert containers[name]["State"]["ExitCode"] == 0


def test_a_known_row_comes_back_exact_through_tls(system: System) -> None:
    reply = score(system, system.key("client"))
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-model-version"] == _KNOWN["model"]
    assert reply.json()["body"]["positive"] == _KNOWN["positive"]


def test_the_example_key_and_none_are_refused(system: System) -> None:
    assert score(system, "123321").status_code == 401
    assert score(system, "").status_code == 401


@pytest.mark.parametrize("path", ["/metrics", "/status", "/-/healthy", "/api/health"])
def test_nothing_but_the_service_is_behind_the_edge(path: str, system: System) -> None:
    with system.edge() as edge:
        token = {"Authorization": f"Bearer {system.secret('metrics_token')}"}
        assert edge.get(path, headers=token).status_code == 404


def test_the_edge_reaches_the_service_and_not_what_watches(system: System) -> None:
    fetch = ("exec", "--no-TTY", "edge", "wget", "-q", "-T", "3", "-O", "-")
    assert system.compose(*fetch, "http://scoring:5000/healthz").returncode == 0
    assert system.compose(*fetch, "http://prometheus:9090/-/healthy").returncode != 0


def test_every_container_is_confined(system: System) -> None:
    for name, container in nonempty(system.containers()).items():
        host, user = container["HostConfig"], container["Config"]["User"]
        assert user.split(":")[0].isdigit(), name
        assert int(user.split(":")[0]) > 0, name
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert 0 < host["Memory"] <= 2 << 30, name


@pytest.mark.parametrize("name", _SERVERS)
def test_no_container_runs_as_root_or_can_write(name: str, system: System) -> None:
    shell = ("exec", "--no-TTY", name, "sh", "-c")
    assert int(system.must(*shell, "id -u")) > 0
    refused = system.compose(*shell, "touch /etc/x || touch /usr/x || touch /x")
    assert refused.returncode != 0
    assert "Read-only file system" in refused.stderr or "Permission denied" in refused.stderr
    assert "Read-only file system" in system.compose(*shell, "touch /tmp/../x").stderr


def test_there_is_a_worker_for_each_cpu_of_the_quota(system: System) -> None:
    assert system.containers()["scoring"]["HostConfig"]["NanoCpus"] == 10**9
    eventually(
        lambda: (
            [one["value"][1] for one in system.prometheus("scoring_workers_configured")] == ["1"]
        ),
        "Prometheus knows of one worker",
    )


def test_prometheus_reads_the_service_with_its_token(system: System) -> None:
    eventually(
        lambda: (
            all(one["value"][1] == "1" for one in system.prometheus('up{job!="loadgen"}'))
            and len(system.prometheus('up{job!="loadgen"}')) == 3
        ),
        "Prometheus reads the service, Alertmanager and itself",
    )


def test_alertmanager_has_our_routes_and_prometheus_has_alertmanager(system: System) -> None:
    fetch = ("exec", "--no-TTY", "alertmanager", "wget", "-q", "-O", "-")
    status = json.loads(system.must(*fetch, "http://127.0.0.1:9093/api/v2/status"))
    assert "name: operators" in status["config"]["original"]
    url = f"http://127.0.0.1:{system.ports['prometheus']}/api/v1"

    def known() -> list[str]:
        managers = httpx.get(f"{url}/alertmanagers").json()["data"]["activeAlertmanagers"]
        return [one["url"] for one in managers]

    # It looks for them every few seconds.
    eventually(lambda: known() == ["http://alertmanager:9093/api/v2/alerts"], "Prometheus has it")
    rules = httpx.get(f"{url}/rules").json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}
    assert len(rules) > 3


def test_grafana_has_the_dashboards_and_reaches_prometheus(system: System) -> None:
    url = f"http://127.0.0.1:{system.ports['grafana']}/api"
    assert httpx.get(f"{url}/health").json()["database"] == "ok"
    assert httpx.get(f"{url}/search", auth=("admin", "admin")).status_code == 401
    admin = ("admin", system.secret("grafana_admin_password"))
    uids = {one["uid"] for one in httpx.get(f"{url}/search", auth=admin).json()}
    files = (ROOT / "monitoring/grafana/dashboards").glob("*.json")
    assert uids == {json.loads(file.read_text())["uid"] for file in files}
    reply = httpx.get(f"{url}/datasources/proxy/api/v1/query?query=up", auth=admin)
    assert reply.json()["status"] == "success"
    # The data source is a plugin, a separate process: it can be missing while the server works.
    source = httpx.get(f"{url}/datasources/uid/prometheus/health", auth=admin)
    assert source.json()["status"] == "OK"


def test_a_new_key_is_in_force_without_a_restart(system: System) -> None:
    fresh = token_urlsafe(24)
    assert score(system, fresh).status_code == 401
    file = system.folder / "secrets/api_keys"
    with file.open("r+") as keys:  # the same file: a new one under its name would not be seen
        keys.seek(0, os.SEEK_END)
        keys.write(f"new:{fresh}\n")
    eventually(lambda: score(system, fresh).status_code == 200, "the new key opens", seconds=10)


def test_a_killed_service_is_restarted_behind_the_same_edge(system: System) -> None:
    before = system.containers()
    kill = "import os; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), 9)"
    system.compose("exec", "--no-TTY", "scoring", "python", "-c", kill)
    eventually(
        lambda: system.containers()["scoring"]["RestartCount"] == 1, "the engine starts it again"
    )
    key = system.key("client")
    eventually(lambda: score(system, key).status_code == 200, "it scores again")
    after = system.containers()
    assert after["edge"]["State"]["StartedAt"] == before["edge"]["State"]["StartedAt"]


def test_it_comes_back_when_the_edge_is_started_before_the_service(system: System) -> None:
    """As an engine may do after a restart of the machine: it knows no order."""
    system.must("stop", "edge", "scoring")
    containers = system.containers()
    system.engine.docker("start", containers["edge"]["Id"])
    system.engine.docker("start", containers["scoring"]["Id"])
    key = system.key("client")
    eventually(lambda: answers(system, key), "it scores again")


def answers(system: System, key: str) -> bool:
    try:
        return score(system, key).status_code == 200
    except httpx.TransportError:
        return False


def test_a_changed_setting_of_the_edge_is_in_force_after_up(system: System) -> None:
    key = system.key("client")
    for longest, status in (("1024", 413), ("16777216", 200)):
        system.settings["EDGE_MAX_BODY"] = longest
        system.must("up", "--detach", "--wait", "--wait-timeout", "60")
        with system.edge() as edge:
            body = json.dumps(_KNOWN["request"]).ljust(2000)
            headers = {"x-api-key": key, "content-type": "application/json"}
            assert edge.post("/reg/", content=body, headers=headers).status_code == status


def test_a_registry_gets_into_the_stack_as_its_page_says(system: System) -> None:
    """By the image's own tool, as the service's own user; then an admin has a way to change it."""
    models = system.folder / "models"
    models.mkdir()
    os.chown(models, 10001, 10001)
    volumes = ("--volume", f"{models}:/models")
    model = ("--volume", f"{ROOT}/model/regno/regno.cbm:/new/yours.cbm:ro")
    run, tool = (
        ("run", "--rm", "--network", "none"),
        (_SERVICE_IMAGE, "-m", "model.registry"),
    )
    add, promote = ("add", "/new/yours.cbm", "--version", "own"), ("promote", "own")
    for more, command in ((model, add), ((), promote)):
        python = ("--entrypoint", "python", *tool, *command, "--models", "/models")
        system.engine.docker(*run, *volumes, *more, *python)
    system.settings |= {"STACK_MODELS": str(models), "STACK_MODELS_MODE": "rw"}
    system.settings["SCORING_REGISTRY"] = "/models"
    gateway = configuration(ROOT / ".env.example")["networks"]["front"]["ipam"]["config"][0]
    system.settings["EDGE_ADMIN_ADDRESSES"] = gateway["gateway"]
    system.must("up", "--detach", "--wait", "--wait-timeout", "60")
    with system.edge() as edge:
        for caller, status in (("client", 403), ("admin", 200)):
            reply = edge.get("/model", headers={"x-api-key": system.key(caller)})
            assert reply.status_code == status, reply.text
    assert reply.json()["body"]["version"] == "own"
    for name in ("STACK_MODELS", "STACK_MODELS_MODE", "SCORING_REGISTRY"):
        del system.settings[name]
    system.must("up", "--detach", "--wait", "--wait-timeout", "60")
    assert score(system, system.key("client")).headers["x-model-version"] == _KNOWN["model"]


def test_the_doctor_reports_no_problem_in_the_services_container(system: System) -> None:
    ran = system.compose("exec", "--no-TTY", "scoring", "python", "-m", "service.doctor", "--json")
    findings = json.loads(ran.stdout)["findings"]
    amiss = {one["name"]: one for one in findings if one["level"] in {"fail", "warn"}}
    assert amiss.keys() == {"model"}, amiss
    assert "simulated" in amiss["model"]["description"]


def test_two_generators_load_it_and_the_exit_code_is_the_verdicts(system: System) -> None:
    done = system.compose("run", "--rm", "--no-TTY", "--use-aliases", "loadgen")
    look = ("run", "--rm", "--volume", f"{PROJECT}_load:/out", "--entrypoint", "cat")
    written = system.engine.docker(*look, f"plate-scoring-loadgen:{VERSION}", "/out/smoke.json")
    verdict: dict[str, Any] = json.loads(written)
    (stage,) = verdict["stages"]
    assert verdict["about"]["generators"] == 2
    assert stage["failures"] == {}, done.stdout
    assert stage["sent"] == stage["planned"]
    assert verdict["golden_rows"] > 50
    # How quick it is on a busy machine is not the question.
    assert done.returncode == EXIT_CODES[Outcome(verdict["outcome"])]
    assert done.returncode in {0, 1, 4}, done.stdout + done.stderr


def test_prometheus_saw_the_load_from_both_ends(system: System) -> None:
    served = 'max_over_time(sum(rate(scoring_http_requests_total{route="/reg"}[1m]))[3m:5s])'
    sent = "max_over_time(loadgen_achieved_requests_per_second[3m])"
    for query, least in ((sent, 80), (served, 10)):
        eventually(
            lambda query=query, least=least: any(  # type: ignore[misc]
                float(one["value"][1]) > least for one in system.prometheus(query)
            ),
            query,
        )


def test_a_second_build_without_a_change_takes_all_from_the_cache(system: System) -> None:
    ours = ("", "-queue", "-images", "-train", "-loadgen", "-alerts")
    names = [f"plate-scoring{more}:{VERSION}" for more in ours]
    before = system.engine.docker("image", "inspect", "--format", "{{.Id}}", *names)
    system.must(*ALL, "build")
    after = system.engine.docker("image", "inspect", "--format", "{{.Id}}", *names)
    assert after == before  # a step that had run again would have made another


def test_images_hold_what_they_need_only(system: System) -> None:
    look = ("run", "--rm", "--entrypoint", "sh")
    listing = system.engine.docker(*look, _SERVICE_IMAGE, "-c", "find /app -type f")
    files = {line for line in listing.splitlines() if not line.endswith(".pyc")}
    rooms = {line.split("/")[2] for line in files}
    assert rooms == {"model", "service"}
    assert [line for line in files if line.endswith(".cbm")] == ["/app/model/regno/regno.cbm"]
    for tool in ("gcc", "make", "git"):
        path = system.engine.docker(*look, _SERVICE_IMAGE, "-c", f"command -v {tool} || :")
        assert path == ""
    cache = "ls /root/.cache /opt/venv/bin/pip 2>/dev/null || :"
    assert system.engine.docker(*look, _SERVICE_IMAGE, "-c", cache) == ""


def test_the_image_that_trains_has_all_that_a_training_needs(
    system: System, tmp_path: Path
) -> None:
    data = write_digits(tmp_path / "mnist.npz")
    done = system.engine.docker(
        *("run", "--rm", "--entrypoint", "sh", "--volume", f"{data}:/mnist.npz:ro"),
        *("--env", "EPOCHS=1", f"plate-scoring-train:{VERSION}", "-c"),
        "python -m model.digits.train --data /mnist.npz --out /tmp/new >/tmp/log 2>&1"
        " && ls /tmp/new || cat /tmp/log",
    )
    assert {"model.onnx", "manifest.json"} <= set(done.split()), done


def test_a_stop_is_orderly(system: System) -> None:
    system.must("stop", "--timeout", "30", "scoring")
    assert system.containers()["scoring"]["State"]["ExitCode"] == 0
