"""The scene to look at: the service, and a Prometheus that scrapes it and evaluates the rules."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from monitoring.look import models
from monitoring.look.errors import CannotLook
from monitoring.look.models import ROOT
from monitoring.look.processes import free_port, running
from monitoring.look.prometheus import Prometheus

# Two callers, as the panels by caller have it.
KEYS: Final = ("key-of-the-cameras", "key-of-the-archive")
# Real use has 15 s; here nobody wants to wait for the second point of a line.
SCRAPE_SECONDS: Final = 1
_SHAPES: Final = Path(__file__).with_name("shapes.toml")
_RULES: Final = ROOT / "monitoring" / "prometheus" / "rules"
_TOKEN: Final = "token-of-the-scene"  # noqa: S105 - of a server that lives for minutes
_WORKERS: Final = 2
_PATIENCE_SECONDS: Final = 30.0


class Scene(NamedTuple):
    """What runs: the service's port on loopback, its master's process id, its Prometheus.

    `models` is the folder of the registry that the service follows.
    """

    port: int
    master: int
    prometheus: Prometheus
    models: Path

    def reload(self) -> None:
        """Have the service replace its workers, as a rollout does."""
        os.kill(self.master, signal.SIGHUP)

    def swap(self) -> None:
        """Have the service change its model while it serves. Raises CannotLook."""
        models.promote(self.models, models.SECOND)


@contextmanager
def playing(folder: Path) -> Iterator[Scene]:
    """Service, load generator and Prometheus, ready; stopped at the end. Raises CannotLook."""
    port, loadgen, prometheus_port = free_port(), free_port(), free_port()
    url = f"http://127.0.0.1:{prometheus_port}"
    service = (sys.executable, "-m", "service")
    ready = f"http://127.0.0.1:{port}/readyz"
    models.make(folder / "models")
    watching = _prometheus(folder, {"scoring": port, "loadgen": loadgen}, prometheus_port)
    with (
        running(service, folder / "service", ready, _settings(folder, port)) as master,
        running(watching, folder / "prometheus", f"{url}/-/ready"),
        running(
            _generator(folder, port, loadgen), folder / "loadgen",
            f"http://127.0.0.1:{loadgen}/metrics",
            {"PYTHONPATH": str(ROOT), "LOADGEN_API_KEY": KEYS[1]},
        ),
    ):  # fmt: skip
        prometheus = Prometheus(url)
        _wait_for_a_scrape(prometheus)
        yield Scene(port, master.pid, prometheus, folder / "models")


def _generator(folder: Path, port: int, metrics_port: int) -> tuple[str, ...]:
    """The load test whose metrics the dashboard of that name shows; it outlasts the scene."""
    return (
        *(sys.executable, "-m", "loadgen.load", "--shape", "look", "--shapes", str(_SHAPES)),
        *("--url", f"http://127.0.0.1:{port}", "--metrics-port", str(metrics_port)),
        *("--out", str(folder / "load")),
    )


def _wait_for_a_scrape(prometheus: Prometheus) -> None:
    """Prometheus takes some seconds to begin; what happens before it never sees."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not prometheus.at('up{job="scoring"} == 1', time.time())["result"]:
        if time.monotonic() > deadline:
            raise CannotLook("Prometheus can't scrape the service")
        time.sleep(0.1)


def _settings(folder: Path, port: int) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "SCORING_PORT": str(port),
        "SCORING_REGISTRY": str(folder / "models"),
        "SCORING_WORKERS": str(_WORKERS),
        "SCORING_API_KEYS": f"cameras:{KEYS[0]},archive:{KEYS[1]}",
        "SCORING_METRICS_TOKEN": _TOKEN,
        "SCORING_LOG_LEVEL": "warning",
    }


def _prometheus(folder: Path, targets: dict[str, int], port: int) -> tuple[str, ...]:
    """The command; its configuration, and the rules as often evaluated as scraped, are written."""
    rules = folder / "rules"
    rules.mkdir(parents=True)
    for path in sorted(_RULES.glob("*.yml")):
        groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        often = [{name: v for name, v in group.items() if name != "interval"} for group in groups]
        (rules / path.name).write_text(yaml.safe_dump({"groups": often}), encoding="utf-8")
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(_config(targets)), encoding="utf-8")
    return (
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    )


def _config(targets: dict[str, int]) -> dict[str, object]:
    often = f"{SCRAPE_SECONDS}s"
    timing = {"scrape_interval": often, "scrape_timeout": often, "evaluation_interval": often}
    jobs = [
        {
            "job_name": name,
            "authorization": {"credentials": _TOKEN},
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        }
        for name, port in targets.items()
    ]
    return {"global": timing, "rule_files": ["rules/*.yml"], "scrape_configs": jobs}
