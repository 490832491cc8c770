"""The stack of the screenshots: the service, a load test, and a Prometheus that scrapes both."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from loadgen.common import registry, service
from loadgen.common.options import MODEL, ROOT
from loadgen.common.processes import free_port, responds, running
from tests.screenshots import ScreenshotError
from tests.screenshots.decision_path import running_sink
from tests.screenshots.prometheus import Prometheus
from tests.screenshots.queue_path import running_queue_path
from tests.support.paths import WITH_TOY
from tests.support.toy_registry import add_toy, toy_command

# Two callers, for the panels by caller.
KEYS: Final = ("key-of-the-cameras", "key-of-the-archive")
# In production it is 15 s; here the second point of a line must come soon.
SCRAPE_SECONDS: Final = 1
FIRST: Final = "2026-10"
SECOND: Final = "2026-11"
_SHAPES: Final = Path(__file__).with_name("shapes.toml")
_RULES: Final = ROOT / "monitoring" / "prometheus" / "rules"
_TOKEN: Final = "token-of-the-screenshots"
_PATIENCE_SECONDS: Final = 30.0


class Stack(NamedTuple):
    """Port and master process of the service, its Prometheus, its registry's folder."""

    port: int
    master: int
    prometheus: Prometheus
    models: Path

    def reload(self) -> None:
        """Have the service replace its workers, as a deployment does."""
        os.kill(self.master, signal.SIGHUP)

    def swap(self) -> None:
        """Have the service change its model while it serves. Raises CannotStart."""
        registry.promote(self.models, SECOND)


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """The ready stack; stopped at the end. Raises CannotStart or ScreenshotError."""
    port, load_port, prometheus_port = free_port(), free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    prometheus = Prometheus(f"http://127.0.0.1:{prometheus_port}")
    models = folder / "models"
    for version in (FIRST, SECOND):
        registry.add(models, MODEL, version)
    registry.promote(models, FIRST)
    add_toy(folder, FIRST, 0.1)
    toy_command(folder, "promote", FIRST)
    with (
        running_queue_path(folder / "queue", KEYS[0], _settings(port, models)) as others,
        running_sink(folder, _settings(port, models)) as sink,
        running(
            service.COMMAND, folder / "service" / "log",
            lambda: responds(f"{address}/readyz"), _settings(port, models),
        ) as master,
        running(
            _prometheus(
                folder,
                {"scoring": [port], "jobs": others, "decisions": [sink], "loadgen": [load_port]},
                prometheus_port,
            ),
            folder / "prometheus" / "log", lambda: responds(f"{prometheus.url}/-/ready"),
        ),
        running(
            _load(folder, address, load_port), folder / "loadgen" / "log",
            lambda: responds(f"http://127.0.0.1:{load_port}/metrics"),
            {"LOADGEN_API_KEY": KEYS[1]},
        ),
    ):  # fmt: skip
        _wait_for_a_scrape(prometheus)
        yield Stack(port, master.pid, prometheus, models)


def _load(folder: Path, url: str, metrics_port: int) -> tuple[str, ...]:
    """The load test that the dashboard *Load test* shows; it lasts longer than the stack."""
    return (
        *(sys.executable, "-m", "loadgen.load", "--shape", "screenshots"),
        *("--shapes", str(_SHAPES), "--url", url, "--metrics-port", str(metrics_port)),
        *("--out", str(folder / "load")),
    )


def _wait_for_a_scrape(prometheus: Prometheus) -> None:
    """Wait for the first scrape: Prometheus never sees what happened before it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not prometheus.at('up{job="scoring"} == 1', time.time())["result"]:
        if time.monotonic() > deadline:
            raise ScreenshotError("Prometheus can't scrape the service")
        time.sleep(0.1)


def _settings(port: int, models: Path) -> dict[str, str]:
    return {
        "SCORING_PORT": str(port),
        "SCORING_REGISTRY": str(models),
        "SCORING_WORKERS": "2",
        "SCORING_API_KEYS": f"cameras:{KEYS[0]},archive:{KEYS[1]}",
        "SCORING_METRICS_TOKEN": _TOKEN,
        "SCORING_LOG_LEVEL": "warning",
        "SCORING_DECISIONS": "best-effort",
        "SCORING_DECISIONS_DIR": str(models.parent / "kept"),
        "SCORING_CAPTURE": "0.5",
        "SCORING_CAPTURE_DIR": str(models.parent / "captured"),
        **WITH_TOY,
    }


def _prometheus(folder: Path, targets: dict[str, list[int]], port: int) -> tuple[str, ...]:
    """The command of a Prometheus; its files are written, rules are evaluated at each scrape."""
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


def _config(targets: dict[str, list[int]]) -> dict[str, object]:
    often = f"{SCRAPE_SECONDS}s"
    timing = {"scrape_interval": often, "scrape_timeout": often, "evaluation_interval": often}
    jobs = [
        {
            "job_name": name,
            "authorization": {"credentials": _TOKEN},
            "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
        }
        for name, ports in targets.items()
    ]
    return {"global": timing, "rule_files": ["rules/*.yml"], "scrape_configs": jobs}
