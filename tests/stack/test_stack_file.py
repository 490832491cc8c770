"""What docker-compose.yml and the Dockerfiles say, as Compose understands it; no engine needed."""

import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from monitoring.alertmanager import settings as alertmanager
from service import VERSION
from service.config import settings as scoring
from service.config.options import VARIABLES
from service.edge import settings as edge
from tests.stack.system import ALL, configuration
from tests.support.example import example
from tests.support.paths import ROOT
from tests.support.vacuous import nonempty

_DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
# Each target of the Dockerfile, with the lines that follow it.
_IMAGES = dict(
    re.findall(
        r"^FROM (?:base|service|queue|images) AS (\w+)\n((?:(?!FROM ).*\n)*)",
        _DOCKERFILE,
        re.MULTILINE,
    )
)
# In containers secrets come as files only.
_SECRET = {
    f"SCORING_{name}"
    for name in ("API_KEYS", "METRICS_TOKEN", "BROKER", "RECORDS", "CACHE", "CACHE_SECRET")
} | {"SCORING_CLICKHOUSE", "SCORING_MONGODB"}
# What the sink of decisions alone reads.
_OF_SINK = {
    f"SCORING_{name}"
    for name in (
        *("DECISIONS_PARQUET", "CLICKHOUSE_FILE", "MONGODB_FILE"),
        *("SINK_METRICS_BIND", "QUALITY_LIMIT", "QUALITY_DAYS"),
    )
}
_ONCE = {"edge-config", "alertmanager-config"}
_WITH_JOBS = {"job-worker", "amqp-worker", "rabbitmq", "redis"}
_QUEUE = {"web", *_WITH_JOBS}
_IMAGES_ALONE = {"web-images", "amqp-images"}
_TRAINING = {"train-worker"}
_STORES = {"clickhouse", "mongodb"}
# Images that are others and some packages; they have no check of their own.
_ON_ANOTHER = {"queue", "images", "train", "decisions"}
_WITHOUT_CHECK = {"alerts", *_ON_ANOTHER}
# Nothing stands in for the images of stores, so the tests of the engine are without them.
_EVERY = (*ALL, "--profile", "decisions")
# Settings of the web processes, job workers and AMQP workers are those from here on.
_FIRST_OF_QUEUE = "web_host"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    parsed: dict[str, Any] = configuration(ROOT / ".env.example", *_EVERY)["services"]
    return parsed


def test_without_a_profile_there_are_neither_load_nor_jobs() -> None:
    started = configuration(ROOT / ".env.example")["services"].keys()
    assert started == {"scoring", "edge", "prometheus", "alertmanager", "grafana", *_ONCE}


def test_the_profile_of_jobs_adds_what_they_need() -> None:
    usual = configuration(ROOT / ".env.example")["services"].keys()
    with_jobs = configuration(ROOT / ".env.example", "--profile", "queue")["services"].keys()
    assert with_jobs - usual == _QUEUE


def test_the_profile_of_pictures_has_other_web_processes_and_workers_for_pictures() -> None:
    usual = configuration(ROOT / ".env.example")["services"].keys()
    services = configuration(ROOT / ".env.example", "--profile", "images")["services"]
    assert services.keys() - usual == {*_IMAGES_ALONE, *_WITH_JOBS}
    worker = services["amqp-images"]["environment"]
    assert worker["SCORING_AMQP_MODELS"] == worker["SCORING_EXTRA_MODELS"] == "digits,cat,dog"
    assert "regno" not in worker["SCORING_AMQP_MODELS"]
    for name in _IMAGES_ALONE:
        assert services[name]["cpu_shares"] == 256, "scoring comes first"


def test_the_profile_of_training_adds_the_one_worker_that_trains(services: dict[str, Any]) -> None:
    options = ("--profile", "images")
    without = configuration(ROOT / ".env.example", *options)["services"].keys()
    both = configuration(ROOT / ".env.example", *options, "--profile", "train")["services"].keys()
    assert both - without == _TRAINING
    worker = services["train-worker"]
    assert worker["entrypoint"][-2:] == ["--kinds", "train"]
    assert services["job-worker"]["environment"]["SCORING_TRAINERS"] == "", "it would need packages"
    writable = {
        name
        for name, one in services.items()
        for volume in one.get("volumes", ())
        if volume["target"] == "/models" and not volume.get("read_only")
    }
    assert writable == _TRAINING, "it adds versions"


def test_the_profile_of_decisions_has_the_sink_and_its_stores_on_a_network_of_their_own() -> None:
    usual = configuration(ROOT / ".env.example")["services"].keys()
    made = configuration(ROOT / ".env.example", "--profile", "decisions")
    services = made["services"]
    assert services.keys() - usual == {"sink", *_STORES}
    assert made["networks"]["stores"]["internal"] is True
    assert services["sink"]["networks"].keys() == {"stores", "watch"}
    for name in _STORES:
        assert services[name]["networks"].keys() == {"stores"}
        assert "ports" not in services[name]
        assert "PASSWORD" not in str(services[name].get("environment", {})).replace(
            "PASSWORD_FILE", ""
        )


def test_the_folder_of_decisions_is_for_those_who_write_or_show_them(
    services: dict[str, Any],
) -> None:
    holders = {
        name
        for name, one in services.items()
        if "/decisions" in {mounted["target"] for mounted in one.get("volumes", ())}
    }
    assert holders == {"scoring", "web", "web-images", "amqp-worker", "sink"}
    assert services["sink"]["environment"]["SCORING_DECISIONS_DIR"] == "/decisions"


def test_it_is_understood_without_any_env(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert configuration(tmp_path / "empty")["services"].keys() >= {"scoring", "edge"}


@pytest.mark.parametrize(
    ("name", "settings", "secret"),
    [
        ("scoring", scoring, _SECRET | _OF_SINK),
        ("sink", scoring, _SECRET),
        *(
            (name, scoring, _SECRET | _OF_SINK)
            for name in (
                *("web", "job-worker", "train-worker"),
                *("amqp-worker", "web-images", "amqp-images"),
            )
        ),
        # Its own address is for itself only.
        ("edge-config", edge, {"EDGE_STATUS_LISTEN"}),
        ("alertmanager-config", alertmanager, set()),
    ],
)
def test_every_setting_reaches_its_container(
    name: str, settings: Any, secret: set[str], services: dict[str, Any]
) -> None:
    fields = settings.FIELDS
    if name in {"scoring", "sink"}:  # a cache needs packages that their images have not
        fields = fields[: fields.index(_FIRST_OF_QUEUE)]
        fields = [field for field in fields if not field.startswith("cache")]
    known = {settings.variable(field) for field in fields}
    if name == "sink":
        known |= _OF_SINK
    # Those of a registry at S3 are not ours to name.
    given = {key for key in services[name]["environment"] if not key.startswith("AWS_")}
    former = {scoring: set(VARIABLES.former.values()), alertmanager: {alertmanager.FORMER}}
    assert given == (known - secret) | former.get(settings, set())


def test_what_the_example_offers_is_what_is_used() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = set(re.findall(r"\$\{((?:STACK|LOADGEN)_\w+)", text))
    offered = {name for prefix in ("STACK_", "LOADGEN_") for _, name, _ in example(prefix)}
    of_the_generator = {
        f"LOADGEN_{name}"
        for name in ("API_KEY", "API_KEY_FILE", "ROWS", "SHAPES", "OUT", "METRICS_PORT")
    }
    assert offered == used | of_the_generator


def test_the_examples_values_are_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    empty, full = (
        configuration(path, *_EVERY) for path in (tmp_path / "empty", ROOT / ".env.example")
    )
    for one in (*empty["services"].values(), *full["services"].values()):
        one.pop("environment", None)
    assert empty == full


def test_every_container_is_confined(services: dict[str, Any]) -> None:
    for name, one in nonempty(services).items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["logging"]["options"]["max-size"], name
        assert int(one["mem_limit"]) <= 2 << 30, name
        assert one["pids_limit"] <= 256, name
        assert 0 < float(one["cpus"]) <= 2, name
        assert "ulimits" not in one, name


def test_each_server_has_a_health_check(services: dict[str, Any]) -> None:
    for name in services.keys() - {*_ONCE, "loadgen", "loadgen-worker"}:
        # The service's own image says how.
        assert name == "scoring" or services[name]["healthcheck"]["test"][0] == "CMD"
    for name, text in _IMAGES.items():
        # What runs once needs none, and the containers of the last two differ.
        assert ("HEALTHCHECK" in text) == (name not in _WITHOUT_CHECK)


def test_what_serves_comes_back_and_what_runs_once_does_not(services: dict[str, Any]) -> None:
    once = {name for name, one in services.items() if one["restart"] == "no"}
    assert once == {*_ONCE, "loadgen", "loadgen-worker"}
    assert {one["restart"] for name, one in services.items() if name not in once} == {
        "unless-stopped"
    }


def test_only_the_edge_is_published_beyond_loopback(services: dict[str, Any]) -> None:
    published = {
        name: [port.get("host_ip") for port in one["ports"]]
        for name, one in services.items()
        if "ports" in one
    }
    inner = {name: ["127.0.0.1"] for name in ("grafana", "prometheus", "rabbitmq")}
    assert published == {"edge": [None], **inner}


def test_the_edge_is_on_no_network_with_what_watches(services: dict[str, Any]) -> None:
    assert services["edge"]["networks"].keys() == {"front"}
    for name in ("prometheus", "alertmanager", "grafana"):
        assert services[name]["networks"].keys() == {"watch"}
    assert all(services[name]["network_mode"] == "none" for name in _ONCE)


def test_addresses_behind_the_edge_are_outside_the_dynamic_range(
    services: dict[str, Any],
) -> None:
    front = configuration(ROOT / ".env.example")["networks"]["front"]["ipam"]["config"][0]
    given = IPv4Network(front["ip_range"])
    assert given.subnet_of(IPv4Network(front["subnet"]))
    fixed = [
        services[name]["networks"]["front"]["ipv4_address"]
        for name in ("scoring", "web", "web-images")
    ]
    addresses = {IPv4Address(one) for one in (*fixed, front["gateway"])}
    assert len(addresses) == 4
    assert {one in given for one in addresses} == {False}


def test_broker_and_records_are_for_those_who_use_them(services: dict[str, Any]) -> None:
    assert configuration(ROOT / ".env.example", *_EVERY)["networks"]["queue"]["internal"] is True
    users = {name for name, one in services.items() if "queue" in one.get("networks", {})}
    assert users == {*_QUEUE, *_IMAGES_ALONE, *_TRAINING}
    assert services["redis"]["networks"].keys() == {"queue"}
    # The data of RabbitMQ have its host's name in theirs.
    assert services["rabbitmq"]["hostname"] == "rabbitmq"
    for name in ("web", "web-images", "job-worker", "train-worker"):
        folders = [one for one in services[name]["volumes"] if one["target"] == "/jobs"]
        assert [one["source"] for one in folders] == ["jobs"], "inputs above 64 KiB are files there"


def test_each_user_of_the_broker_has_its_own_secret(services: dict[str, Any]) -> None:
    given = {
        name: sorted(one["source"] for one in services[name]["secrets"] if "b" in one["source"])
        for name in (*_QUEUE, *_IMAGES_ALONE, *_TRAINING)
    }
    assert given == {
        "web": ["broker_web", "webhooks"],
        "web-images": ["broker_web", "webhooks"],
        "job-worker": ["broker_worker", "webhooks"],
        "train-worker": ["broker_worker", "webhooks"],
        "amqp-worker": ["broker_amqp", "webhooks"],
        "amqp-images": ["broker_amqp", "webhooks"],
        "rabbitmq": ["broker_users"],
        "redis": [],
    }


def test_redis_keeps_records_within_its_memory(services: dict[str, Any]) -> None:
    lines = (ROOT / "deploy/redis.conf").read_text().splitlines()
    settings = dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))
    assert (settings["appendonly"], settings["maxmemory-policy"]) == ("yes", "noeviction")
    size = int(settings["maxmemory"].removesuffix("mb")) << 20
    assert int(services["redis"]["mem_limit"]) >= 2 * size


def test_what_reads_a_made_configuration_is_restarted_with_it(services: dict[str, Any]) -> None:
    for name, one in nonempty(services).items():
        for other, needed in one.get("depends_on", {}).items():
            assert needed.get("restart", False) == (other in _ONCE), (name, other)


def test_a_stop_leaves_requests_their_time(services: dict[str, Any], tmp_path: Path) -> None:
    assert services["scoring"]["stop_grace_period"] == "40s"
    (tmp_path / "env").write_text("SCORING_GRACEFUL_TIMEOUT=90\nSCORING_DRAIN_SECONDS=15\n")
    changed = configuration(tmp_path / "env")["services"]["scoring"]
    assert changed["stop_grace_period"] == "1m55s"


def test_prometheus_keeps_what_the_error_budget_needs(services: dict[str, Any]) -> None:
    assert "--storage.tsdb.retention.time=35d" in services["prometheus"]["command"]


def test_links_in_alerts_and_notifications_lead_to_where_people_are(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(
        "STACK_PROMETHEUS_URL=https://watch.example/prometheus\n"
        "STACK_ALERTMANAGER_URL=https://watch.example/alerts\n"
    )
    changed = configuration(tmp_path / "env")["services"]
    for name, address in (("prometheus", "prometheus"), ("alertmanager", "alerts")):
        command = changed[name]["command"]
        assert f"--web.external-url=https://watch.example/{address}" in command
        # Probes, Grafana and Prometheus itself know no other paths.
        assert "--web.route-prefix=/" in command


def test_grafana_keeps_the_plugin_that_its_data_source_is(services: dict[str, Any]) -> None:
    grafana = services["grafana"]
    assert grafana["environment"]["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    assert grafana["read_only"] is True
    assert int(grafana["mem_limit"]) >= 1 << 30


def test_the_folder_of_the_edge_has_the_configured_size(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("EDGE_WORKDIR_BYTES=600000000\n")
    changed = configuration(tmp_path / "env")["services"]
    assert "/run/edge:size=600000000,uid=101,gid=101" in changed["edge"]["tmpfs"]
    assert changed["edge-config"]["environment"]["EDGE_WORKDIR_BYTES"] == "600000000"
    usual = configuration(ROOT / ".env.example")["services"]["edge"]
    room = edge.Settings().workdir_bytes
    assert f"/run/edge:size={room},uid=101,gid=101" in usual["tmpfs"]
    assert int(usual["mem_limit"]) > room


def test_every_image_has_a_version(services: dict[str, Any]) -> None:
    for one in nonempty(services).values():
        image, at, digest = one["image"].partition("@")
        name, _, version = image.rpartition(":")
        assert not at or re.fullmatch("sha256:[0-9a-f]{64}", digest), name
        if name.startswith("plate-scoring"):
            assert version == VERSION
        else:
            assert re.fullmatch(r"v?\d+\.\d+\.\d+(-alpine)?", version), name


def test_each_image_is_a_target_of_the_dockerfile(services: dict[str, Any]) -> None:
    built = {one["build"]["target"] for one in services.values() if "build" in one}
    assert built == _IMAGES.keys()
    assert built == {"service", "loadgen", *_WITHOUT_CHECK}


@pytest.mark.parametrize("name", _IMAGES)
def test_an_image_is_made_in_stages_and_its_user_owns_nothing(name: str) -> None:
    assert f"FROM builder AS {name}-packages\n" in _DOCKERFILE
    folder = f"/opt/{name}" if name in _ON_ANOTHER else "/opt/venv"
    assert f"COPY --from={name}-packages {folder} {folder}\n" in _IMAGES[name]
    users = re.findall(r"^USER (\d+):\d+$", _IMAGES[name], re.MULTILINE)
    assert int(users[-1]) > 1000


def test_all_images_have_one_base_with_a_version() -> None:
    bases = set(re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE))
    assert bases == {"python:${PYTHON}", "builder", "base", "service", "queue", "images"}
    versions = re.findall(r"^ARG PYTHON=(.*)$", _DOCKERFILE, re.MULTILINE)
    assert len(versions) == 1
    assert re.fullmatch(r"3\.11\.\d+-slim-bookworm", versions[0])
